package operator

import (
	"flag"
	"io"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want func(Options) bool
		says string
	}{
		"nothing set suits a first try": {
			want: func(o Options) bool {
				return !o.leaderElect && o.metricsAddress == ":8080" && o.probeAddress == ":8081" && o.maxConcurrentReconciles > 1
			},
		},
		"what the manifests set": {
			args: []string{"--leader-elect", "--metrics-bind-address=0", "--health-probe-bind-address=:9", "--max-concurrent-reconciles=3"},
			want: func(o Options) bool {
				return o.leaderElect && o.metricsAddress == "0" && o.probeAddress == ":9" && o.maxConcurrentReconciles == 3
			},
		},
		"a portal": {
			args: []string{"--portal-url=https://tokens.example.com/", "--portal-bind-address=:9"},
			want: func(o Options) bool {
				return o.portalURL == "https://tokens.example.com" && o.portalBindAddress == ":9"
			},
		},
		"metrics for everybody by default": {want: func(o Options) bool { return !o.metricsSecure }},
		"secured metrics":                  {args: []string{"--metrics-secure"}, want: func(o Options) bool { return o.metricsSecure }},
		"who runs the portal": {
			args: []string{"--portal-organisation=Müller & Söhne", "--portal-contact=it@example.com"},
			want: func(o Options) bool {
				return o.portalOrganisation == "Müller & Söhne" && o.portalContact == "it@example.com"
			},
		},
		"an organisation of two lines":       {args: []string{"--portal-organisation=a\nb"}, says: "--portal-organisation must be one line"},
		"a contact that is a letter":         {args: []string{"--portal-contact=" + strings.Repeat("a", 257)}, says: "--portal-contact must not be longer"},
		"Secrets without a label by default": {want: func(o Options) bool { return !o.requireUseLabel }},
		"labelled Secrets alone":             {args: []string{"--require-use-label"}, want: func(o Options) bool { return o.requireUseLabel }},
		"links in the status by default":     {want: func(o Options) bool { return o.signInLinks == linksInStatus }},
		"links in Secrets":                   {args: []string{"--sign-in-links=Secret"}, want: func(o Options) bool { return o.signInLinks == linksInSecret }},
		"links somewhere else":               {args: []string{"--sign-in-links=secret"}, says: "must be Status or Secret"},
		"private issuers by default":         {want: func(o Options) bool { return !o.denyPrivateAddresses }},
		"public issuers alone":               {args: []string{"--deny-private-addresses"}, want: func(o Options) bool { return o.denyPrivateAddresses }},
		"proxies that are trusted": {
			args: []string{"--trusted-proxies=10.0.0.0/8, 192.0.2.7,2001:db8::/32"},
			want: func(o Options) bool { return o.trustedProxies.String() == "10.0.0.0/8,192.0.2.7/32,2001:db8::/32" },
		},
		"a proxy that is no address": {args: []string{"--trusted-proxies=ingress"}, says: `"ingress" is neither an address`},
		"a portal on this machine":   {args: []string{"--portal-url=http://localhost:9"}, want: func(o Options) bool { return o.portalURL != "" }},
		"no portal":                  {args: []string{"--portal-bind-address=0"}, want: func(o Options) bool { return o.portalURL == "" }},
		"a portal without TLS":       {args: []string{"--portal-url=http://tokens.example.com"}, says: "--portal-url: \"http://tokens.example.com\" must be https"},
		"a portal in large letters":  {args: []string{"--portal-url=HTTPS://example.com"}, says: "--portal-url must be scheme and host alone"},
		"a portal with a path":       {args: []string{"--portal-url=https://example.com/tokens"}, says: "--portal-url must be scheme and host alone"},
		"a portal in another process": {
			args: []string{"--portal-url=https://tokens.example.com", "--portal-bind-address=0"},
			want: func(o Options) bool { return o.portalURL == "https://tokens.example.com" && !o.portalOnly },
		},
		"a portal alone": {
			args: []string{"--portal-only", "--portal-url=https://tokens.example.com"}, want: func(o Options) bool { return o.portalOnly && o.portalBindAddress == ":8082" },
		},
		"a portal alone that is turned off": {args: []string{"--portal-only", "--portal-bind-address=0"}, says: "--portal-only has nothing to do"},
		"a portal alone that is elected":    {args: []string{"--portal-only", "--leader-elect"}, says: "--portal-only takes part in no election"},
		"which build this is":               {args: []string{"--version"}, want: func(o Options) bool { return o.Version }},
		"a word that is no flag":            {args: []string{"start"}, says: `unexpected argument "start"`},
		"no workers":                        {args: []string{"--max-concurrent-reconciles=0"}, says: "must be at least 1"},
		"a flag that nobody knows":          {args: []string{"--portal"}, says: "portal"},
	} {
		t.Run(name, func(t *testing.T) {
			flags := flag.NewFlagSet("tokenkeeper", flag.ContinueOnError)
			flags.SetOutput(io.Discard)
			o, err := Parse(flags, test.args)
			switch {
			case test.says != "":
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("the error is %v, want one that says %q", err, test.says)
				}
			case err != nil || !test.want(o):
				t.Errorf("the options are %+v, error %v", o, err)
			}
		})
	}
}
