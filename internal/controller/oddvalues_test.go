package controller_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// TestStatusIsToldWhateverOddValuesItIsMadeOf follows an account through its life: the first token, and the end of token and grant, of
// which its conditions must tell.
func TestStatusIsToldWhateverOddValuesItIsMadeOf(t *testing.T) {
	t.Parallel()
	for name, odd := range map[string]struct {
		application, imported map[string]string
		fault                 *demomarket.Fault
		check                 func(*world, v1alpha1.MarketplaceAccountStatus)
	}{
		"a client secret that ends in the year 9999": {
			application: map[string]string{"client_secret_expires_at": "9999-12-31T23:59:59Z"},
			check: func(w *world, status v1alpha1.MarketplaceAccountStatus) {
				w.Expect(*status.Application.DaysRemaining).To(Equal(int32(renewal.MaxDays)))
				w.Expect(status.Application.SecretExpirationTime.Year()).To(Equal(9999))
			},
		},
		"a client secret that ends in the year 10000, in UTC": {
			application: map[string]string{"client_secret_expires_at": "9999-12-31T23:59:59-12:00"},
			check: func(w *world, status v1alpha1.MarketplaceAccountStatus) {
				w.Expect(*status.Application.DaysRemaining).To(Equal(int32(renewal.MaxDays)))
			},
		},
		"a client secret that ended long ago": {
			application: map[string]string{"client_secret_expires_at": "1970-01-01T00:00:00Z"},
			check: func(w *world, status v1alpha1.MarketplaceAccountStatus) {
				w.Expect(*status.Application.DaysRemaining).To(BeZero())
			},
		},
		"a client secret that ends when nobody can tell, and a consent from before": {
			application: map[string]string{"client_secret_expires_at": "until further notice"},
			imported:    map[string]string{"granted_at": `"2026-03-01"`},
			check: func(w *world, status v1alpha1.MarketplaceAccountStatus) {
				message := w.expectAuthenticated()
				w.Expect(message).To(ContainSubstring(`in key "client_secret_expires_at"`))
				w.Expect(message).To(ContainSubstring(`in key "granted_at"`))
				w.Expect(status.Application).To(BeNil())
			},
		},
		"a consent that was given in the year 9999": {
			imported: map[string]string{"granted_at": "9999-12-31T23:59:59-12:00"},
			check: func(w *world, status v1alpha1.MarketplaceAccountStatus) {
				w.Expect(status.Authorization.GrantedTime.Time).To(BeTemporally("<=", w.clock.Now()), "nobody has consented later than now")
			},
		},
		"a consent that was given before there were computers": {
			imported: map[string]string{"granted_at": "1970-01-01T00:00:01Z"},
			check: func(w *world, status v1alpha1.MarketplaceAccountStatus) {
				w.Expect(*status.Authorization.DaysRemaining).To(BeZero())
			},
		},
		"an access token that lives for ever":                       {fault: new(demomarket.ExpiresIn("1e300").Once())},
		"an access token that lives longer than an int64 can count": {fault: new(demomarket.ExpiresIn("99999999999999999999").Once())},
		"a lifetime below zero":                                     {fault: new(demomarket.ExpiresIn("-99999999999999999999").Once())},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.marketplace("ebay")
			w.application()
			w.imported("ebay")
			if odd.application != nil {
				w.editSecret("app", odd.application)
			}
			if odd.imported != nil {
				w.editSecret("import", odd.imported)
			}
			market := w.Market.Platform("ebay")
			if odd.fault != nil {
				market.Inject(*odd.fault)
			}
			w.account("ebay", v1alpha1.GrantRefreshToken)
			w.start()
			w.expectReady()
			if odd.check != nil {
				odd.check(w, w.get().Status)
			}
			end := w.get().Status.AccessToken.ExpirationTime.Time
			if end.After(w.clock.Now().Add(day)) { // it was taken for what it said
				return
			}
			market.RevokeGrants()
			w.passUntil(end.Add(time.Second))
			w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
			w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
		})
	}
}

// TestStatusThatIsRefusedLosesTheFieldAlone answers in the API server's place, as one does that holds another version of the CRD.
func TestStatusThatIsRefusedLosesTheFieldAlone(t *testing.T) {
	t.Parallel()
	for name, causes := range map[string][]string{
		"a field that is named":          {"status.application.daysRemaining"},
		"fields that are named":          {"status.application.daysRemaining", "status.accessToken.renewalTime"},
		"nothing is named":               {""},
		"a field that nobody has set":    {"status.signIn.url"},
		"something that is not a status": {"metadata.name"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.prepare("ebay", v1alpha1.GrantRefreshToken)
			w.editSecret("app", map[string]string{"client_secret_expires_at": "2026-12-31T00:00:00Z"})
			refused := func(request *http.Request) *http.Response {
				if request.Method != http.MethodPatch || !strings.HasSuffix(request.URL.Path, "/status") {
					return nil
				}
				body := peek(request)
				var patch struct {
					Status map[string]json.RawMessage `json:"status"`
				}
				w.Expect(json.Unmarshal(body, &patch)).To(Succeed())
				if !strings.Contains(string(patch.Status["application"]), `"daysRemaining":3`) {
					return nil
				}
				return invalidStatus(causes)
			}
			defer w.traffic.refusing(refused)()
			w.start()
			w.expectReady()
			w.expectAuthenticated()
			if strings.HasPrefix(name, "a field that is named") {
				w.Expect(w.get().Status.AccessToken.RenewalTime.IsZero()).To(BeFalse(), "what was not refused is told")
				w.Expect(w.get().Status.Application.SecretExpirationTime.IsZero()).To(BeFalse(), "what was not refused is told")
			}
		})
	}
}

func TestWhatNobodySeesInASecretIsCutOrNamed(t *testing.T) {
	t.Parallel()
	t.Run("a byte order mark and line ends are cut", func(t *testing.T) {
		w := newWorld(t)
		w.prepare("ebay", v1alpha1.GrantRefreshToken)
		w.editSecret("app", map[string]string{"client_id": "\ufeff" + demomarket.DefaultClientID + "\r\n"})
		w.start()
		w.expectReady()
		w.Expect(w.calls("ebay")).To(Equal(1))
	})
	for name, story := range map[string]struct{ platform, secret, key, value, says string }{
		"a client_id in UTF-16":              {"ebay", "app", "client_id", "\xff\xfed\x00e\x00m\x00o\x00", "is UTF-16, as PowerShell writes files"},
		"a client_secret in quotation marks": {"ebay", "app", "client_secret", `"` + demomarket.DefaultClientSecret + `"`, "is in quotation marks"},
		"a refresh token of two lines":       {"ebay", "import", "refresh_token", "first-half\nsecond-half", "has more than one line"},
		"a password with a NUL":              {"xsale", "login", "password", demomarket.DefaultPassword + "\x00", "holds a NUL, as of a file in UTF-16"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			grant := v1alpha1.GrantRefreshToken
			if story.platform == "xsale" {
				grant = v1alpha1.GrantPassword
			}
			w.prepare(story.platform, grant)
			good := string(w.readSecret(story.secret).Data[story.key])
			w.editSecret(story.secret, map[string]string{story.key: story.value})
			w.start()
			message := w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid)
			w.Expect(message).To(And(ContainSubstring(story.says), ContainSubstring(story.secret), ContainSubstring(story.key)))
			w.Expect(w.calls(story.platform)).To(BeZero(), "nothing is sent")
			w.editSecret(story.secret, map[string]string{story.key: good})
			w.expectReady()
		})
	}
	t.Run("a grant goes on beside a new refresh token that cannot be read", func(t *testing.T) {
		w := newWorld(t)
		w.prepare("oidc", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.editSecret("import", map[string]string{"refresh_token": "first-half\nsecond-half"})
		message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonSecretInvalid)
		w.Expect(message).To(And(HavePrefix("Authenticated as"), ContainSubstring("has more than one line")))
		w.passRenewal()
		w.expectReady()
		w.editSecret("import", map[string]string{"refresh_token": w.Market.Platform("oidc").Grant(w.Market.Platform("oidc").Seller().ID)})
		w.expectAuthenticated()
	})
}

// peek reads the body of a request that goes on.
func peek(request *http.Request) []byte {
	body, err := io.ReadAll(request.Body)
	request.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return nil
	}
	return body
}

// invalidStatus is the answer of an API server to a status that its CRD does not allow.
func invalidStatus(fields []string) *http.Response {
	status := metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonInvalid, Code: http.StatusUnprocessableEntity,
		Message: "invalid", Details: &metav1.StatusDetails{}}
	status.APIVersion, status.Kind = "v1", "Status"
	for _, field := range fields {
		status.Details.Causes = append(status.Details.Causes, metav1.StatusCause{Field: field})
	}
	recorder := httptest.NewRecorder()
	recorder.Header().Set("Content-Type", "application/json")
	recorder.WriteHeader(http.StatusUnprocessableEntity)
	_ = json.NewEncoder(recorder).Encode(status)
	return recorder.Result()
}
