package operator

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/clock"
	_ "sigs.k8s.io/controller-runtime/pkg/client/config" // registers --kubeconfig
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// Options are the flags of the operator, its clock and its way to marketplaces.
type Options struct {
	// Clock tells the time.
	Clock clock.PassiveClock
	// RequestEvery is how often people may make a request of an account; zero means the default. The fault suite sets it.
	RequestEvery time.Duration
	// Transport carries requests to marketplaces.
	Transport http.RoundTripper
	// Version asks for nothing but the line that identifies this build.
	Version bool

	leaderElect             bool
	metricsAddress          string
	metricsSecure           bool
	probeAddress            string
	portalBindAddress       string
	portalOnly              bool
	portalURL               string
	portalOrganisation      string
	portalContact           string
	custodyKeySecret        string
	maxConcurrentReconciles int
	denyPrivateAddresses    bool
	requireUseLabel         bool
	signInLinks             links
	trustedProxies          networks
	shard                   shard
	log                     zap.Options
}

// Parse reads the flags of the operator from its arguments. Its error says which one to mend.
func Parse(flags *flag.FlagSet, args []string) (Options, error) {
	o := Options{Clock: clock.RealClock{}, Transport: outgoing.NewTransport(), signInLinks: linksInStatus}
	flags.BoolVar(&o.leaderElect, "leader-elect", false,
		"Work only while holding a lease, so that several replicas may run. The manifests set it.")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080", `Address of /metrics; "0" turns it off.`)
	flags.BoolVar(&o.metricsSecure, "metrics-secure", false,
		"Serve /metrics over TLS, to those alone whom the API server lets get it: by a bearer token. The manifests set it.")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", `Address of /healthz and /readyz; "0" turns them off.`)
	flags.StringVar(&o.portalBindAddress, "portal-bind-address", ":8082",
		`Address of the pages where people sign in, in plain HTTP for an ingress to add TLS; "0" turns them off.`)
	flags.BoolVar(&o.portalOnly, "portal-only", false,
		"Serve the portal and nothing else: this process renews, polls and publishes nothing, and takes part in no election. Another one does, with --portal-bind-address=0.")
	flags.StringVar(&o.portalURL, "portal-url", "",
		"Public address of these pages, such as https://tokens.example.com, also where another process serves them. Without it nobody can sign in with grant AuthorizationCode.")
	flags.StringVar(&o.portalOrganisation, "portal-organisation", "", "Who runs the portal, for the people who use it: Example Ltd, for instance.")
	flags.StringVar(&o.portalContact, "portal-contact", "",
		"Whom these people may ask: an address of mail, an https:// address of a page, or words such as a telephone number.")
	flags.StringVar(&o.custodyKeySecret, "custody-key-secret", "tokenkeeper-custody-key",
		"Name of the Secret in the operator's namespace with the key that authenticates grant Secrets. Installations that hand accounts to each other share one.")
	flags.IntVar(&o.maxConcurrentReconciles, "max-concurrent-reconciles", 256,
		"How many accounts are worked on at once. Most of them wait for a marketplace, and those of one token host may be no more than a quarter.")
	flags.Var(&o.trustedProxies, "trusted-proxies",
		"Addresses and networks, separated by commas, of the proxies in front of the portal. What they say in X-Forwarded-For of where a visitor comes from is believed.")
	flags.BoolVar(&o.Version, "version", false, "Print the version, the commit and its date, and do nothing else.")
	flags.BoolVar(&o.denyPrivateAddresses, "deny-private-addresses", false,
		"Refuse issuers whose discovery document or keys are at an address that is not public: of this machine, of a private network, or of a cloud's metadata.")
	flags.BoolVar(&o.requireUseLabel, "require-use-label", false,
		"Use a Secret that an account names only if its label tokenkeeper.dev/use allows it: application, login or refresh-token. The manifests set it.")
	flags.Var(&o.signInLinks, "sign-in-links",
		"Where the links and codes stand by which people sign in: Status, or Secret, which is <account>-sign-in. With Secret the status holds their address alone.")
	o.shard.bindFlags(flags)
	o.log.BindFlags(flags)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: tokenkeeper takes flags only", flags.Arg(0))
	}
	if o.maxConcurrentReconciles < 1 {
		return o, fmt.Errorf("--max-concurrent-reconciles must be at least 1, is %d", o.maxConcurrentReconciles)
	}
	if problems := validation.IsDNS1123Subdomain(o.custodyKeySecret); len(problems) > 0 {
		return o, fmt.Errorf("--custody-key-secret: %q is no name of a Secret: %s", o.custodyKeySecret, strings.Join(problems, "; "))
	}
	return o, errors.Join(o.checkPortal(), checkWords("--portal-organisation", o.portalOrganisation), checkWords("--portal-contact", o.portalContact))
}

// maxWords bounds the text of a flag that stands on every page of the portal, in bytes.
const maxWords = 256

// checkWords refuses text that cannot stand in one line of a page.
func checkWords(flag, words string) error {
	switch {
	case len(words) > maxWords:
		return fmt.Errorf("%s must not be longer than %d bytes", flag, maxWords)
	case !utf8.ValidString(words) || strings.ContainsFunc(words, unicode.IsControl):
		return fmt.Errorf("%s must be one line of text", flag)
	}
	return nil
}

// checkPortal makes the portal's address one that paths can follow.
func (o *Options) checkPortal() error {
	o.portalURL = strings.TrimSuffix(o.portalURL, "/")
	switch {
	case o.portalOnly && o.portalBindAddress == "0":
		return errors.New("--portal-only has nothing to do with --portal-bind-address=0: leave out one of them")
	case o.portalOnly && o.leaderElect:
		return errors.New("--portal-only takes part in no election: leave out --leader-elect")
	case o.portalURL == "":
		return nil
	}
	if err := outgoing.CheckURL(o.portalURL); err != nil {
		return fmt.Errorf("--portal-url: %w", err)
	}
	if !signin.Address(o.portalURL).IsOrigin() {
		return fmt.Errorf("--portal-url must be scheme and host alone, such as https://tokens.example.com, is %q", o.portalURL)
	}
	return nil
}
