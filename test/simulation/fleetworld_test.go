package simulation_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// operatorNamespace is where the operator of a fleet has its own Secret.
const operatorNamespace = "tokenkeeper-system"

// fleet is a world of many accounts: the simulated API server and marketplaces, of the manifests that are shipped, and the figures from there.
type fleet struct {
	world *world
	api   *kubeAPI
	// parts are the accounts of the fleet, by the host where their tokens are asked for.
	parts map[string]*fleetPart
	// members are the accounts that are there; coming are the ones that are not there yet, the first in front.
	members map[client.ObjectKey]*member
	coming  []*member
	// operator asks the marketplaces.
	operator *process
	phases   []*phase
	// away is the host of the marketplace that is away, or was; back is when it came back.
	away string
	back time.Time
	// begun counts the operators.
	begun int
	// namespaces are the namespaces of tenants.
	namespaces map[string]bool
	// bytes is how much the API server holds.
	bytes map[kind]int
	// schema is that of accounts.
	schema *apiextensionsv1.JSONSchemaProps
}

// fleetPart is a part of a fleet with its marketplace.
type fleetPart struct {
	part
	market *market
	limits v1alpha1.Limits
	// spent are the requests that each application has had lately, as its limit counts them.
	spent map[string]*bucket
}

// member is an account of a fleet.
type member struct {
	key  client.ObjectKey
	part *fleetPart
	// from is when it is created.
	from time.Time
	// renewAt is when the tokens of its grant Secret are to be renewed. expires is when the tokens of its token Secret end, and due when they
	// were to be renewed.
	renewAt, expires, due time.Time
}

// tenants is how many accounts have a namespace, and the applications in it, in common.
const tenants = 500

// shardLabel is the label of the shard that keeps an account, and shardOf the shard of a tenant.
const shardLabel = "shard"

func shardOf(namespace string) string {
	number, _ := strconv.Atoi(strings.TrimPrefix(namespace, "tenant-"))
	return strconv.Itoa(number % max(*fleetShards, 1))
}

// newFleet makes a world in which so many accounts will have come by a moment, each at a random time of its token's life.
func newFleet(size int, by time.Duration) *fleet {
	w := newWorld(1)
	w.mostCalls = 0
	f := &fleet{world: w, api: newKubeAPI(w.api), parts: map[string]*fleetPart{}, members: map[client.ObjectKey]*member{}, namespaces: map[string]bool{}}
	f.operator = &process{world: w, name: "the operator"}
	w.api.uid = "00000000-0000-4000-8000-%012d"
	w.api.observe = f.observe
	f.make(operatorNamespace, nil)
	f.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "tokenkeeper-custody-key"}})
	definitions := map[kind]*apiextensionsv1.JSONSchemaProps{accounts: definition(accounts), marketplaces: definition(marketplaces)}
	f.schema = definitions[accounts]
	random := rand.New(rand.NewPCG(1, 2))
	of, filled := 0, 0
	for _, p := range mix {
		made := p.manifest()
		at := &fleetPart{part: p, market: p.market(w, made), limits: made.Spec.Limits, spent: map[string]*bucket{}}
		f.parts[p.host] = at
		fillIn(made, definitions[marketplaces])
		f.create(made)
		filled += p.percent
		interval := int64(p.interval(made))
		for ; of < size*filled/100; of++ {
			f.coming = append(f.coming, &member{
				key: client.ObjectKey{Name: fmt.Sprintf("%s-%06d", p.marketplace, of)}, part: at,
				from: w.began.Add(by - time.Duration(random.Int64N(interval))),
			})
		}
	}
	random.Shuffle(len(f.coming), func(i, j int) { f.coming[i], f.coming[j] = f.coming[j], f.coming[i] })
	for i, m := range f.coming { // each tenant has accounts of all parts
		m.key.Namespace = fmt.Sprintf("tenant-%03d", i/tenants)
	}
	slices.SortFunc(f.coming, func(a, b *member) int { return a.from.Compare(b.from) })
	return f
}

// make makes a namespace, with the application of each of these parts.
func (f *fleet) make(name string, applications map[string]*fleetPart) {
	f.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	for _, p := range applications {
		f.secret(name, "app-"+p.marketplace, v1alpha1.UseApplication, map[string]string{
			v1alpha1.ApplicationKeyClientID: name + "-" + p.marketplace, v1alpha1.ApplicationKeyClientSecret: clientSecret,
		})
	}
}

func (f *fleet) create(object client.Object) {
	if err := f.world.api.create(object); err != nil {
		panic(err)
	}
}

func (f *fleet) secret(namespace, name, use string, values map[string]string) {
	made := secretOf(name, values)
	made.Namespace, made.Labels = namespace, map[string]string{v1alpha1.LabelUse: use}
	f.create(made)
}

// come makes the accounts whose time has come.
func (f *fleet) come() {
	for len(f.coming) > 0 && !f.coming[0].from.After(time.Now()) {
		m := f.coming[0]
		f.coming = f.coming[1:]
		f.members[m.key] = m
		if !f.namespaces[m.key.Namespace] {
			f.namespaces[m.key.Namespace] = true
			f.make(m.key.Namespace, f.parts)
		}
		f.create(f.account(m))
	}
}

// account makes the account of a member, after the Secrets that it names.
func (f *fleet) account(m *member) *v1alpha1.MarketplaceAccount {
	p := m.part
	made := &v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{
		Namespace: m.key.Namespace, Name: m.key.Name, Labels: map[string]string{shardLabel: shardOf(m.key.Namespace)},
	}}
	made.Spec.MarketplaceRef.Name = p.marketplace
	made.Spec.ApplicationSecretRef.Name = "app-" + p.marketplace
	made.Spec.Grant.Type = p.grant
	for name, value := range p.parameters {
		made.Spec.Parameters = append(made.Spec.Parameters, v1alpha1.Parameter{Name: name, Value: value})
	}
	switch p.grant {
	case v1alpha1.GrantRefreshToken:
		made.Spec.Grant.RefreshToken = &v1alpha1.RefreshTokenGrant{SecretRef: v1alpha1.SecretReference{Name: m.key.Name + "-import"}}
		token := lengthen(p.market.grant("seller-"+m.key.Name), p.refresh)
		f.secret(m.key.Namespace, m.key.Name+"-import", v1alpha1.UseRefreshToken, map[string]string{v1alpha1.RefreshTokenKeyRefreshToken: token})
	case v1alpha1.GrantPassword:
		made.Spec.Grant.Password = &v1alpha1.PasswordGrant{SecretRef: v1alpha1.SecretReference{Name: m.key.Name + "-login"}}
		f.secret(m.key.Namespace, m.key.Name+"-login", v1alpha1.UseLogin, map[string]string{
			v1alpha1.PasswordKeyUsername: m.key.Name, v1alpha1.PasswordKeyPassword: password,
		})
	case v1alpha1.GrantClientCredentials: // an application of its own
		made.Spec.ApplicationSecretRef.Name = m.key.Name + "-app"
		f.secret(m.key.Namespace, m.key.Name+"-app", v1alpha1.UseApplication, map[string]string{
			v1alpha1.ApplicationKeyClientID: m.key.Name, v1alpha1.ApplicationKeyClientSecret: clientSecret,
		})
	}
	fillIn(made, f.schema)
	return made
}

// observe is told of each write.
func (f *fleet) observe(what change) {
	f.api.tell(what)
	secret, ok := what.after.(*corev1.Secret)
	if !ok {
		return
	}
	if name, ok := strings.CutSuffix(secret.Name, v1alpha1.GrantSecretSuffix); ok {
		f.stored(f.members[client.ObjectKey{Namespace: secret.Namespace, Name: name}], secret)
	}
	if name, ok := strings.CutSuffix(secret.Name, v1alpha1.TokenSecretSuffix); ok {
		f.published(f.members[client.ObjectKey{Namespace: secret.Namespace, Name: name}], secret)
	}
}

// stored notes when the tokens of a grant Secret are to be renewed.
func (f *fleet) stored(m *member, secret *corev1.Secret) {
	held, err := tokensecret.DecodeCustody(secret)
	if err != nil {
		f.world.breaks("a grant Secret cannot be read: %v", err)
		return
	}
	if held.Tokens != nil {
		m.renewAt = held.Tokens.RenewAt
	}
}

// published measures how late the tokens of a token Secret are, and whether those before have expired.
func (f *fleet) published(m *member, secret *corev1.Secret) {
	expires, err := time.Parse(time.RFC3339, string(secret.Data[v1alpha1.TokenKeyExpiresAt]))
	if err != nil {
		f.world.breaks("a token Secret names no end: %v", err)
		return
	}
	if expires.Equal(m.expires) {
		return
	}
	if m.due.IsZero() {
		f.now().First++
	} else {
		f.renewed(m)
	}
	m.expires, m.due = expires, m.renewAt
}

// size counts the bytes that the API server holds of each kind, as it keeps them.
func (f *fleet) size() {
	f.bytes = map[kind]int{}
	for at, object := range f.world.api.objects {
		document, err := f.api.form(runtime.ContentTypeProtobuf, at.kind).encode(object)
		if err != nil {
			panic(err)
		}
		f.bytes[at.kind] += len(document)
	}
}
