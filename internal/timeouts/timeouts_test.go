package timeouts_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// gracePeriod is how long a pod of the operator may take to end, as the manifests have it.
func gracePeriod(t *testing.T) time.Duration {
	t.Helper()
	manifest, err := os.ReadFile(filepath.Join("..", "..", "config", "manager", "deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	if err := yaml.UnmarshalStrict(manifest, &deployment); err != nil {
		t.Fatal(err)
	}
	seconds := deployment.Spec.Template.Spec.TerminationGracePeriodSeconds
	if seconds == nil {
		t.Fatal("the manifests name no terminationGracePeriodSeconds")
	}
	return time.Duration(*seconds) * time.Second
}

// shortestCode is the life of an authorization code at Allegro, see docs/marketplaces.md.
const shortestCode = 10 * time.Second

func TestOneTimeoutEndsBeforeTheOther(t *testing.T) {
	attempt := timeouts.Attempt(timeouts.Call)
	for name, pair := range map[string]struct{ shorter, longer time.Duration }{
		"a visit is found while its code still works":                  {timeouts.FindVisit, shortestCode},
		"the API server does not hold up a code for long":              {timeouts.ClaimVisit, timeouts.FindVisit},
		"a read that waits for the cache leaves time to ask it":        {timeouts.CatchUp, timeouts.ClaimVisit},
		"a callback has time for all that it waits for":                {timeouts.FindVisit + timeouts.ClaimVisit + 2*timeouts.Call + timeouts.ShowResult, timeouts.Callback},
		"a page shows what a callback has stored":                      {timeouts.ShowResult, timeouts.Page},
		"a request that cannot be sent is told from a lost answer":     {timeouts.Dial + timeouts.Handshake, timeouts.Call},
		"an identity request does not outlast a token request":         {timeouts.Identify, timeouts.Call},
		"an issuer that hangs does not hold up a token request longer": {timeouts.Issuer, timeouts.Call},
		"a scraper is known before Prometheus gives up":                {timeouts.AskAboutScraper, timeouts.Scrape},
		"headers are a part of a request":                              {timeouts.ReadHeaders, timeouts.ReadRequest},
		"a callback ends before its answer is cut off":                 {timeouts.Callback, timeouts.PortalAnswer},
		"a page that waits for keys and turns has time to be made":     {timeouts.ReadKeys + timeouts.DoubtfulToken + 2*timeouts.List + timeouts.Outcome, timeouts.Page},
		"probes and metrics are answered before a shutdown ends":       {timeouts.Answer, timeouts.Shutdown},
		"the quickstart does not kill a demo marketplace that ends":    {timeouts.DemoShutdown, timeouts.QuickstartStop},
		"metrics whose cache is not filled are answered with an error": {timeouts.AskAboutScraper + timeouts.Scrape, timeouts.Answer},
		"an attempt ends before its worker is freed":                   {attempt, timeouts.Reconcile},
		"an attempt that is under way is stored in a shutdown":         {attempt, timeouts.Shutdown},
		"so is a callback, before the manager gives up":                {timeouts.StopPortal, timeouts.Shutdown},
		"a callback ends before the portal stops":                      {timeouts.Callback, timeouts.StopPortal},
		"a shutdown ends before the pod is killed":                     {timeouts.Shutdown + 5*time.Second, gracePeriod(t)},
		"the pod's grace period ends a drain, and nothing else":        {gracePeriod(t), timeouts.Drain},
	} {
		if pair.shorter >= pair.longer {
			t.Errorf("%s: %v is not shorter than %v", name, pair.shorter, pair.longer)
		}
	}
}
