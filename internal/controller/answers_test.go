package controller_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// These stories give answers of which it is not plain who spoke, and whether the platform had acted.

const maintenancePage = "<!DOCTYPE html><html><head><title>Maintenance</title></head><body>We'll be back soon</body></html>"

// TestAnswersAfterWhichATokenRests has a platform whose refresh tokens work once. The token of an hour ends 60 minutes after it
// was issued, so that the refresh token rests for 57. Which answers these are is a table of internal/grant (bytes_test.go).
func TestAnswersAfterWhichATokenRests(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]func(string) string{
		"a failure as JSON with 500": respond(500, "application/json", `{"error":"Internal Server Error","error_description":"No message available"}`),
		"success and half the tokens": func(good string) string {
			return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\nConnection: close\r\n\r\n" + good[:min(len(good), 40)]
		},
		"no answer": func(string) string { return "" },
	} {
		for _, acts := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, acted on: %t", name, acts), func(t *testing.T) {
				w := newWorld(t)
				platform := w.bytesPlatform(0)
				at := w.renewing(platform, said{acts, raw})
				message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
				w.Expect(message).To(And(ContainSubstring("It rests until 2026-03-02 09:57:00 UTC"), ContainSubstring(`Secret "import"`)))
				w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonRenewalOutcomeUnknown)
				w.expectReady()

				w.annotate(v1alpha1.AnnotationRenew, "again")
				w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Before = "10m" })
				w.start()
				w.pass(55 * time.Minute)
				w.Expect(platform.sentSince(at)).To(HaveLen(1), "a token that may be spent was sent before its end of use")
				w.Expect(platform.doubleSpends()).To(BeZero())
				w.expectReady()

				w.pass(time.Minute)
				w.Eventually(func() []sending { return platform.sentSince(at) }).Should(HaveLen(2))
				if !acts {
					w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
					w.expectAuthenticated()
					w.expectReady()
					return
				}
				w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonGrantRejected)
				w.pass(day)
				w.Expect(platform.sentSince(at)).To(HaveLen(2))
			})
		}
	}
}

// TestAnswersAfterWhichATokenIsSentAgain: which these are is a table of internal/grant (bytes_test.go) as well.
func TestAnswersAfterWhichATokenIsSentAgain(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]func(string) string{
		"a maintenance page":              respond(200, "text/html", maintenancePage),
		"slower, in the platform's words": respond(400, "application/json", `{"error":"slow_down"}`),
		"too many requests, as a code": func(string) string {
			return "HTTP/1.1 400 Bad Request\r\nRetry-After: 5\r\nContent-Type: application/json\r\nContent-Length: 27\r\nConnection: close\r\n\r\n{\"error\":\"invalid_request\"}\n"
		},
		"too many requests": respond(429, "application/json", `{"error":"invalid_request","error_description":"Too many requests"}`),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			platform := w.bytesPlatform(0)
			at := w.renewing(platform, said{false, raw})
			w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
			w.expectReady()
			w.pass(15 * time.Second)
			w.Eventually(func() []sending { return platform.sentSince(at) }).Should(HaveLen(2))
			w.expectAuthenticated()
			w.Expect(platform.doubleSpends()).To(BeZero())
		})
	}
}

// TestAWholeTokenSetIsUsed has answers that hold the only copy of a pair, and something odd beside it. More of them are in internal/grant
// (bytes_test.go).
func TestAWholeTokenSetIsUsed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		raw    func(string) string
		change func(*v1alpha1.Marketplace)
	}{
		"a connection that ends without the last chunk": {raw: func(good string) string {
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(good), good)
		}},
		"an error beside tokens": {raw: func(good string) string {
			return respond(200, "application/json", `{"error":"invalid_scope","error_description":"some were left out",`+good[1:])("")
		}},
		"a code of zero around an envelope": {
			raw: func(good string) string {
				return respond(200, "application/json", `{"code":0,"message":"success","data":`+good+`}`)("")
			},
			change: func(m *v1alpha1.Marketplace) {
				m.Spec.TokenResponse.Envelope, m.Spec.TokenResponse.Fields.Error = "data", "code"
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var changes []func(*v1alpha1.Marketplace)
			first := said{true, func(good string) string { return respond(200, "application/json", good)("") }}
			if test.change != nil {
				changes, first = append(changes, test.change), said{true, test.raw}
			}
			platform := w.bytesPlatform(0, changes...)
			platform.says(first)
			at := w.renewing(platform, said{true, test.raw}, said{true, test.raw})
			w.expectAuthenticated()
			w.Eventually(func() string { return w.token()["access_token"] }).Should(Equal("AT2-xxxxxxxxxxxxxxxxxxxx"))
			w.passRenewal()
			w.expectAuthenticated()
			w.Expect(w.token()).To(HaveKeyWithValue("access_token", "AT3-xxxxxxxxxxxxxxxxxxxx"))
			w.Expect(platform.sentSince(at)).To(HaveLen(2))
			w.Expect(platform.doubleSpends()).To(BeZero())
		})
	}
}

// TestTheLastTryWithinAGrace has a gateway in front of the platform that answers for 45 of the 60 seconds for which a spent
// refresh token still works.
func TestTheLastTryWithinAGrace(t *testing.T) {
	w := newWorld(t)
	platform := w.bytesPlatform(time.Minute)
	w.start()
	w.expectReady()
	w.pass(time.Minute)
	at := w.clock.Now()
	platform.down = at.Add(45 * time.Second)
	w.annotate(v1alpha1.AnnotationRenew, "now")
	for range 59 {
		w.pass(time.Second)
	}
	sent := platform.sentSince(at)
	last := sent[len(sent)-1].at.Sub(at)
	w.Expect(last).To(And(BeNumerically(">=", 45*time.Second), BeNumerically("<=", 54*time.Second)))
	w.expectAuthenticated()
	w.Expect(platform.doubleSpends()).To(BeZero())
}

// TestAnOutageLongerThanTheGrace rests until the end of use, and is found out then.
func TestAnOutageLongerThanTheGrace(t *testing.T) {
	w := newWorld(t)
	platform := w.bytesPlatform(time.Minute)
	w.start()
	w.expectReady()
	w.pass(time.Minute)
	at := w.clock.Now()
	platform.down = at.Add(10 * time.Minute)
	w.annotate(v1alpha1.AnnotationRenew, "now")
	for range 70 {
		w.pass(time.Second)
	}
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	sent := platform.sentSince(at)
	w.Expect(sent[len(sent)-1].at.Sub(at)).To(BeNumerically("<=", 54*time.Second))
	w.pass(50 * time.Minute)
	w.Expect(platform.sentSince(at)).To(HaveLen(len(sent)), "it was sent between its grace and its end of use")
	w.pass(8 * time.Minute)
	w.Expect(platform.sentSince(at)).To(HaveLen(len(sent) + 1))
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonGrantRejected)
}

// TestAWaitThatIsLongerThanTheGrace is demanded by whoever stands in front of the platform while a spent refresh token still works.
func TestAWaitThatIsLongerThanTheGrace(t *testing.T) {
	w := newWorld(t)
	platform := w.bytesPlatform(time.Minute)
	at := w.renewing(platform, said{true, func(string) string {
		return "HTTP/1.1 502 Bad Gateway\r\nRetry-After: 300\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	}})
	for range 59 {
		w.pass(time.Second)
	}
	sent := platform.sentSince(at)
	w.Expect(sent).To(HaveLen(2))
	w.Expect(sent[1].at.Sub(at)).To(And(BeNumerically(">=", 45*time.Second), BeNumerically("<=", 54*time.Second)))
	w.expectAuthenticated()
	w.Expect(platform.doubleSpends()).To(BeZero())
}
