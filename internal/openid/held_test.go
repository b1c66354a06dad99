package openid_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/openid"
)

// mostIssuers are remembered.
const mostIssuers = 256

// tenants is a server of issuers without number, each a path of it, whose documents are of one size.
type tenants struct {
	*httptest.Server
	asked map[string]int
}

func newTenants(t *testing.T, size int) *tenants {
	t.Helper()
	filled := func(members string) string { // up to the size
		return `{` + members + `,"padding":"` + strings.Repeat("x", max(0, size-len(members)-20)) + `"}`
	}
	signer := newEC(t)
	keys := make([]string, 0, 1000)
	for i := range cap(keys) {
		keys = append(keys, edited(t, published(t, jose.JSONWebKey{Key: signer.Public(), KeyID: fmt.Sprint("key ", i)}), nil))
	}
	set := strings.Join(keys, ",")
	set = filled(`"keys":[` + set[:strings.LastIndex(set[:bounds.Answer*3/4], ",{")] + `]`)
	served := &tenants{asked: map[string]int{}}
	served.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tenant, document := strings.CutSuffix(r.URL.Path, discoveryPath)
		if !document {
			respond(http.StatusOK, set)(w, r)
			return
		}
		served.asked[tenant]++
		long := served.URL + "/" + strings.Repeat("x", size/4)
		respond(http.StatusOK, filled(fmt.Sprintf(`"issuer":"%s%s","jwks_uri":"%s%s/keys","token_endpoint":"%s","revocation_endpoint":"%s"`,
			served.URL, tenant, served.URL, tenant, long, long)))(w, r)
	}))
	t.Cleanup(served.Close)
	return served
}

// TestWhatIssuersMayHaveHeld has an account choose one issuer after the other, each with a document and keys as large as they may be.
func TestWhatIssuersMayHaveHeld(t *testing.T) {
	served := newTenants(t, bounds.Answer)
	providers := &openid.Providers{HTTP: served.Client(), Now: now}
	token := sign(t, newEC(t), jose.ES256, "key 7", map[string]any{"iss": served.URL + "/t", "aud": clientID, "exp": start.Add(time.Hour).Unix()})
	held := func() int64 {
		var memory runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&memory)
		return int64(memory.HeapAlloc)
	}
	const looked, most = 40, 64 << 10
	before := held()
	for i := range looked {
		issuer := fmt.Sprintf("%s/%d", served.URL, i)
		if err := providers.Verify(t.Context(), issuer, clientID, token, "", 0); err == nil {
			t.Fatal("accepted")
		}
	}
	if each := (held() - before) / looked; each > most {
		t.Errorf("an issuer takes %d bytes, want at most %d", each, most)
	}
	runtime.KeepAlive(providers)
}

// TestSomeIssuersAreRemembered tells apart those that are asked about all the time and those that are not.
func TestSomeIssuersAreRemembered(t *testing.T) {
	served := newTenants(t, 0)
	providers := &openid.Providers{HTTP: served.Client(), Now: now}
	discover := func(tenant string) {
		t.Helper()
		if _, err := providers.Discover(t.Context(), served.URL+tenant); err != nil {
			t.Fatal(err)
		}
	}
	discover("/once")
	for i := range mostIssuers {
		discover("/busy")
		discover(fmt.Sprintf("/%d", i))
	}
	discover("/once")
	if served.asked["/busy"] != 1 || served.asked["/once"] != 2 {
		t.Errorf("the busy issuer was asked %d times and the other one %d times, want 1 and 2", served.asked["/busy"], served.asked["/once"])
	}
}
