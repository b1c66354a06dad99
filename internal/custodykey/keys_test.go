package custodykey_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custodykey"
)

// api keeps one Secret as the API server does: each write has a version that no object had before, and loses against any other since. It notes who
// was the last to change the record.
type api struct {
	client.Reader
	client.Writer

	mu      sync.Mutex
	secret  *corev1.Secret
	version int
	uid     int
	writes  int
	reads   int
	// refuse is what every write is answered; nil for no refusal.
	refuse error
}

var secrets = schema.GroupResource{Resource: "secrets"}

// document is the version of a grant Secret that is written now.
func (a *api) document() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
	return strconv.Itoa(a.version)
}

func (a *api) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reads++
	if a.secret == nil {
		return apierrors.NewNotFound(secrets, key.Name)
	}
	a.secret.DeepCopyInto(into.(*corev1.Secret))
	return nil
}

func (a *api) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refuse != nil {
		return a.refuse
	}
	if a.secret != nil {
		return apierrors.NewAlreadyExists(secrets, object.GetName())
	}
	a.uid++
	object.SetUID(types.UID(fmt.Sprint("uid-", a.uid)))
	a.store(object)
	return nil
}

func (a *api) Update(_ context.Context, object client.Object, _ ...client.UpdateOption) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refuse != nil {
		return a.refuse
	}
	if a.secret == nil || a.secret.ResourceVersion != object.GetResourceVersion() {
		return apierrors.NewConflict(secrets, object.GetName(), errors.New("it was changed"))
	}
	a.store(object)
	return nil
}

func (a *api) store(object client.Object) {
	a.version++
	a.writes++
	object.SetResourceVersion(strconv.Itoa(a.version))
	secret := object.(*corev1.Secret).DeepCopy()
	secret.ManagedFields = a.managers(secret.Data, v1alpha1.ManagedBy)
	a.secret = secret
}

// managers are whose keys are with new data, of which one writes what is another now.
func (a *api) managers(data map[string][]byte, manager string) []metav1.ManagedFieldsEntry {
	if a.secret != nil && bytes.Equal(a.secret.Data["adopted"], data["adopted"]) && len(a.secret.ManagedFields) > 0 {
		return a.secret.ManagedFields
	}
	return []metav1.ManagedFieldsEntry{
		{Manager: "helm", FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{"f:app":{}}}}`)},
		{Manager: manager, FieldsV1: metav1.NewFieldsV1(`{"f:data":{".":{},"f:adopted":{}}}`)},
	}
}

// edit is what an admin does to the Secret.
func (a *api) edit(change func(map[string][]byte)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	data := maps.Clone(a.secret.Data)
	if data == nil {
		data = map[string][]byte{}
	}
	change(data)
	a.secret.ManagedFields = a.managers(data, "kubectl-replace")
	a.secret.Data = data
	a.version++
	a.secret.ResourceVersion = strconv.Itoa(a.version)
}

// writeRecord is a write of the operator's record.
func (a *api) writeRecord(record string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	secret := a.secret.DeepCopy()
	secret.Data["adopted"] = []byte(record)
	a.store(secret)
}

// recreate is what a restore does: another object with these contents.
func (a *api) recreate(data map[string][]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.uid++
	a.version++
	a.secret = &corev1.Secret{Data: maps.Clone(data)}
	a.secret.UID, a.secret.ResourceVersion = types.UID(fmt.Sprint("uid-", a.uid)), strconv.Itoa(a.version)
}

func (a *api) data() map[string][]byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.secret.Data)
}

var clock = testingclock.NewFakeClock(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))

// process begins to use the key, and leads where it is told to.
func process(t *testing.T, server *api, leads bool) *custodykey.Keys {
	t.Helper()
	keys, err := custodykey.New(t.Context(), custodykey.Options{
		Secret: types.NamespacedName{Namespace: "system", Name: "key"}, Live: server, Writer: server, Clock: clock, Random: rand.Reader,
	})
	if err == nil && leads {
		err = keys.Ensure(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

var account = types.NamespacedName{Namespace: "shop", Name: "main"}

// signed is a document that a process writes now.
func signed(server *api, keys *custodykey.Keys, text string) custodykey.Document {
	return custodykey.Document{Account: account, Marketplace: "allegro", Version: server.document(), Text: []byte(text), MAC: keys.Sign(account, []byte(text))}
}

// forged is a document that somebody else writes now.
func forged(server *api) custodykey.Document {
	return custodykey.Document{Account: account, Marketplace: "allegro", Version: server.document(), Text: []byte("forged"), MAC: []byte("forged")}
}

func expect(t *testing.T, what string, keys *custodykey.Keys, d custodykey.Document, authentic bool) {
	t.Helper()
	clock.Step(time.Minute) // the Secret is not looked at for every document
	if got := keys.Judge(d).Authentic; got != authentic {
		t.Errorf("%s is authentic: %t", what, got)
	}
}

func TestADocumentIsAuthenticWhereItWasSigned(t *testing.T) {
	server := &api{}
	keys := process(t, server, true)
	good := signed(server, keys, "a document")
	expect(t, "a signed document", keys, good, true)
	if verdict := process(t, &api{}, false).Judge(forged(server)); !verdict.Authentic {
		t.Errorf("without a key, a document is %+v", verdict)
	}
	for name, change := range map[string]func(*custodykey.Document){
		"a document without a MAC":    func(d *custodykey.Document) { d.MAC = nil },
		"another document":            func(d *custodykey.Document) { d.Text = []byte("another") },
		"that of another account":     func(d *custodykey.Document) { d.Account.Name = "other" },
		"that of another namespace":   func(d *custodykey.Document) { d.Account.Namespace = "elsewhere" },
		"names that run into another": func(d *custodykey.Document) { d.Account = types.NamespacedName{Namespace: "shopm", Name: "ain"} },
		"half of a MAC":               func(d *custodykey.Document) { d.MAC = d.MAC[:16] },
	} {
		d := good
		change(&d)
		expect(t, name, keys, d, false)
	}
	expect(t, "it, after a restart", process(t, server, true), good, true)
	if server.writes != 2 {
		t.Errorf("the Secret was written %d times, want one for the key and one for its boundary", server.writes)
	}
}

// TestAKeyAdoptsWhatExistsOnce: what was there before the key was made, and nothing that was written since.
func TestAKeyAdoptsWhatExistsOnce(t *testing.T) {
	for name, lose := range map[string]func(*api){
		"first start": func(server *api) { server.secret = nil },
		"deleted":     func(server *api) { server.secret = nil },
		"emptied":     func(server *api) { server.edit(func(data map[string][]byte) { clear(data) }) },
		"restored, older": func(server *api) {
			server.recreate(map[string][]byte{"current": bytes.Repeat([]byte("k"), 32), "adopted": []byte(`{"uid":"uid-1","key":"x","before":"1"}`)})
		},
		"copied from elsewhere": func(server *api) { server.recreate(map[string][]byte{"current": bytes.Repeat([]byte("c"), 40)}) },
		"made by kustomize":     func(server *api) { server.recreate(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			server := &api{}
			former := process(t, server, true)
			written, planted := signed(server, former, "of the former key"), forged(server)
			if name == "first start" {
				server.writes = 0
			}
			lose(server)
			keys := process(t, server, true)
			expect(t, "a document of the former key", keys, written, true)
			if verdict := keys.Judge(written); !verdict.Adopted {
				t.Error("it was not adopted")
			}
			expect(t, "what existed then", keys, planted, true)
			expect(t, "what was forged since", keys, forged(server), false)
			expect(t, "what was signed since", keys, signed(server, keys, "new"), true)
			again := process(t, server, true)
			expect(t, "what was forged since, after a restart", again, forged(server), false)
			expect(t, "what existed then, after a restart", again, written, true)
			// The process that was there before finds its way, and signs for those that come.
			expect(t, "what was signed since, for the former process", former, signed(server, keys, "newer"), true)
			expect(t, "what the former process signs now", process(t, server, true), signed(server, former, "newest"), true)
		})
	}
}

func TestARotatedKey(t *testing.T) {
	server := &api{}
	keys := process(t, server, true)
	before := signed(server, keys, "before")
	old := server.data()["current"]
	server.edit(func(data map[string][]byte) {
		data["previous"], data["current"] = old, append(bytes.Repeat([]byte("n"), 32), '\n')
	})
	planted := forged(server)
	other := process(t, server, false) // does not lead, and comes first
	expect(t, "a document, while the leader has not looked", other, planted, true)
	expect(t, "what was forged before the leader looked", keys, planted, false)
	expect(t, "a document of the previous key", keys, before, true)
	after := signed(server, keys, "after")
	if bytes.Equal(after.MAC, before.MAC) {
		t.Error("it was signed with the previous key")
	}
	expect(t, "it, elsewhere", other, after, true)
	expect(t, "what was forged, once the leader has looked", other, forged(server), false)
	server.edit(func(data map[string][]byte) { delete(data, "previous") })
	fresh := process(t, server, true)
	expect(t, "a document of a key that is gone", fresh, before, false)
	expect(t, "a document of the current one", fresh, after, true)
}

// TestAKeyReplacedInPlace: an older backup over the Secret of a running operator.
func TestAKeyReplacedInPlace(t *testing.T) {
	server := &api{}
	keys := process(t, server, true)
	backup := server.data()
	server.edit(func(data map[string][]byte) {
		data["previous"], data["current"] = data["current"], bytes.Repeat([]byte("n"), 32)
	})
	expect(t, "nothing", keys, forged(server), false)
	written := signed(server, keys, "of the key that the backup does not know")
	server.edit(func(data map[string][]byte) { clear(data); maps.Copy(data, backup) })
	expect(t, "what was forged before the operator looked", keys, forged(server), true) // it existed when the key came into force
	expect(t, "the document", keys, written, true)
	expect(t, "it, after a restart", process(t, server, true), written, true)
	expect(t, "what was forged since", keys, forged(server), false)
}

// TestAKeyReplacedInPlaceMeanwhile: an older backup over the Secret while no operator runs. A rotation, and labels that others write, are none.
func TestAKeyReplacedInPlaceMeanwhile(t *testing.T) {
	server := &api{}
	process(t, server, true)
	backup := server.data()
	rotate := func(filling string) {
		server.edit(func(data map[string][]byte) {
			data["previous"], data["current"] = data["current"], bytes.Repeat([]byte(filling), 32)
		})
	}
	rotate("n")
	keys := process(t, server, true)
	expect(t, "what was forged after a rotation", keys, forged(server), false)
	written := signed(server, keys, "of the key that the backup does not know")
	server.edit(func(data map[string][]byte) { clear(data); maps.Copy(data, backup) })

	portal := process(t, server, false)
	expect(t, "the document, for a process that does not lead", portal, written, true)
	keys = process(t, server, true)
	expect(t, "the document", keys, written, true)
	if verdict := keys.Judge(written); !verdict.Adopted {
		t.Error("it was not adopted")
	}
	planted := forged(server)
	expect(t, "what was forged since", keys, planted, false)
	expect(t, "what was forged since, for a process that does not lead", portal, planted, false)
	writes := server.writes
	for range 2 {
		server.edit(func(map[string][]byte) {}) // labels
		expect(t, "what was forged since, after a restart", process(t, server, true), planted, false)
	}
	rotate("o")
	expect(t, "what was forged since, after a rotation", process(t, server, true), planted, false)
	if server.writes > writes+1 {
		t.Errorf("the Secret was written %d times, want one for the rotation", server.writes-writes)
	}
}

func TestSeveralBeginAtOnce(t *testing.T) {
	server := &api{}
	all := make([]*custodykey.Keys, 8)
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() { all[i] = process(t, server, true) })
	}
	group.Wait()
	document := signed(server, all[0], "a document")
	for i, keys := range all {
		expect(t, fmt.Sprint("the document, for process ", i), keys, document, true)
	}
	if server.writes > 3 {
		t.Errorf("the Secret was written %d times", server.writes)
	}
}

func TestWhoDoesNotLeadMakesNoKey(t *testing.T) {
	server := &api{}
	keys := process(t, server, false)
	expect(t, "a document before there is a key", keys, forged(server), true)
	if keys.Sign(account, nil) != nil || server.writes > 0 {
		t.Error("it has a key")
	}
}

// TestASecondProcessSignsAsSoonAsThereIsAKey: a portal may be there before the operator leads.
func TestASecondProcessSignsAsSoonAsThereIsAKey(t *testing.T) {
	server := &api{}
	portal := process(t, server, false)
	leader := process(t, server, true)
	clock.Step(time.Minute)
	expect(t, "what the portal writes", leader, signed(server, portal, "a sign-in"), true)
}

func TestAnAdminAdopts(t *testing.T) {
	server := &api{}
	keys := process(t, server, true)
	planted := forged(server)
	other := planted
	other.Marketplace = "ebay"
	expect(t, "a document before", keys, planted, false)
	for range 2 { // the same value twice is one word
		if _, err := keys.Adopt(t.Context(), "allegro", "1"); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, "a document of the Marketplace", keys, planted, true)
	expect(t, "a document of another", keys, other, false)
	later := forged(server)
	expect(t, "one that was written since", keys, later, false)
	again := process(t, server, true)
	if isNew, err := again.Adopt(t.Context(), "allegro", "1"); isNew || err != nil {
		t.Errorf("the same value is news after a restart: %t, %v", isNew, err)
	}
	expect(t, "one that was written since, after a restart", again, later, false)
	if isNew, err := again.Adopt(t.Context(), "allegro", "2"); !isNew || err != nil {
		t.Errorf("another value is news: %t, %v", isNew, err)
	}
	expect(t, "it, after another word", again, later, true)
	// Another key forgets the versions, and not what was said.
	data := server.data()
	server.recreate(data)
	moved := process(t, server, true)
	if isNew, err := moved.Adopt(t.Context(), "allegro", "2"); isNew || err != nil {
		t.Errorf("the same value is news in another cluster: %t, %v", isNew, err)
	}
	expect(t, "what is forged there", moved, forged(server), false)
}

// TestACrashBetweenTheTwoWrites leaves a boundary unset, which the next process sets.
func TestACrashBetweenTheTwoWrites(t *testing.T) {
	server := &api{}
	old := forged(server)
	keys := process(t, server, true)
	document := signed(server, keys, "a document")
	server.writeRecord(strings.Replace(string(server.data()["adopted"]), `"before":`, `"nothing":`, 1))
	next := process(t, server, true)
	expect(t, "what existed then", next, old, true)
	expect(t, "the document", next, document, true)
	expect(t, "what is forged since", next, forged(server), false)
}

func TestWithoutRightsThereIsNoKey(t *testing.T) {
	for name, server := range map[string]*api{
		"no right to create": {refuse: apierrors.NewForbidden(secrets, "key", errors.New("no"))},
		"no namespace":       {refuse: apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "system")},
		"half a key":         {secret: &corev1.Secret{Data: map[string][]byte{"current": []byte("short")}}},
	} {
		keys := process(t, server, true)
		expect(t, name+": a document", keys, forged(server), true)
		if keys.Sign(account, nil) != nil {
			t.Errorf("%s: it signs", name)
		}
		if server.secret != nil && !slices.Equal(server.secret.Data["current"], []byte("short")) {
			t.Errorf("%s: it was overwritten", name)
		}
	}
	var none *custodykey.Keys
	if none.Sign(account, nil) != nil || !none.Judge(custodykey.Document{}).Authentic || none.Ensure(t.Context()) != nil {
		t.Error("without a key something is decided")
	}
	down := &api{refuse: errors.New("the API server is away")}
	keys := process(t, down, false)
	if err := keys.Ensure(t.Context()); err == nil {
		t.Error("an API server that is away is no reason to go on")
	}
}

// TestForgedDocumentsCostFewReads: the Secret is looked at once a second at most.
func TestForgedDocumentsCostFewReads(t *testing.T) {
	server := &api{}
	keys := process(t, server, true)
	good := signed(server, keys, "good")
	reads := server.reads
	for range 1000 {
		keys.Judge(forged(server))
		keys.Judge(good)
	}
	if server.reads > reads+1 {
		t.Errorf("it was read %d times", server.reads-reads)
	}
}
