package portal

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// named is a visitor with one of a user's tokens.
func named(user string, token int) *visitor {
	who := &visitor{user: authenticationv1.UserInfo{Username: user}}
	binary.BigEndian.PutUint64(who.key[:], uint64(token))
	return who
}

// scattered are accounts in as many namespaces.
func scattered(count int) []types.NamespacedName {
	var accounts []types.NamespacedName
	for i := range count {
		accounts = append(accounts, types.NamespacedName{Namespace: fmt.Sprintf("shop-%04d", i), Name: "main"})
	}
	return accounts
}

func TestMemoriesAreBounded(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(noon)
	p := &Portal{
		access: newAccess(&judge{answer: denied}, clock), reviews: reviews{good: newRecent[tokenKey, *review](maxReviews)},
		tokens: newLimiter[netip.Prefix](clock, tokenFailures, maxAddresses), subjects: newLimiter[string](clock, tokenFailures, maxSubjects),
	}
	for i := range maxAnswers + 100 {
		var address [4]byte
		binary.BigEndian.PutUint32(address[:], uint32(i))
		p.tokens.fail(netip.PrefixFrom(netip.AddrFrom4(address), 32))
		p.subjects.fail(fmt.Sprint("system:serviceaccount:shop:", i))
		who := named(fmt.Sprint("user-", i), i)
		p.reviews.put(who.key, &review{})
		if _, err := p.access.mightBefore(t.Context(), who, verbList, "", ""); err != nil {
			t.Fatal(err)
		}
	}
	for memory, held := range map[string][2]int{
		"addresses": {len(p.tokens.sources.entries), maxAddresses},
		"subjects":  {len(p.subjects.sources.entries), maxSubjects},
		"reviews":   {len(p.reviews.good.entries), maxReviews},
		"answers":   {len(p.access.answers.entries), maxAnswers},
		"visitors":  {len(p.access.visitors.entries), maxVisitors},
	} {
		if held[0] != held[1] {
			t.Errorf("%s: it holds %d, want %d", memory, held[0], held[1])
		}
	}
}

func TestOnePageAsksOfABoundedNumberOfNamespaces(t *testing.T) {
	asked := &judge{answer: denied}
	access := newAccess(asked, clocktesting.NewFakePassiveClock(noon))
	may, more, err := access.which(t.Context(), named("system:serviceaccount:shop:pod", 1), verbList, verbGet, scattered(5000))
	if err != nil || !more || len(may) != 0 {
		t.Errorf("%d are shown, more: %t, %v", len(may), more, err)
	}
	if got, want := len(asked.asked), 1+maxNamespaces+maxSingle; got != want {
		t.Errorf("%d questions are asked, want %d", got, want)
	}
}

func TestTheNamespacesThatMatterAreAskedFirst(t *testing.T) {
	asked := &judge{answer: denied}
	who := named("system:serviceaccount:shop-4999:pod", 1)
	who.near = "shop-4000"
	if _, _, err := newAccess(asked, clocktesting.NewFakePassiveClock(noon)).which(t.Context(), who, verbList, verbGet, scattered(5000)); err != nil {
		t.Fatal(err)
	}
	said := strings.Join(asked.asked, "|") + "|"
	for _, question := range []string{"list shop-4999/", "list shop-4000/", "list shop-0000/", "get shop-0000/main"} {
		if !strings.Contains(said, question+"|") {
			t.Errorf("nobody asks for %s", question)
		}
	}
}

func TestQuestionsOfOneUserAreBounded(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(noon)
	asked := &judge{answer: denied}
	access := newAccess(asked, clock)
	greedy := func() (asked int) {
		for token := range 2 * maxAsked { // each with a token of its own, so that nothing was answered before
			if _, err := access.mightBefore(t.Context(), named("system:serviceaccount:shop:pod", token), verbList, fmt.Sprint("n-", token), ""); err == nil {
				asked++
			} else if !isBusy(err) {
				t.Fatal(err)
			}
		}
		return asked
	}
	if got := greedy(); got != maxAsked {
		t.Errorf("%d questions are asked at once, want %d", got, maxAsked)
	}
	if _, err := access.mightBefore(t.Context(), named("somebody-else", 0), verbList, "", ""); err != nil {
		t.Errorf("another user gets %v", err)
	}
	if allowed, err := access.may(t.Context(), named("system:serviceaccount:shop:pod", 0), verbPatch, "shop", "main"); allowed || err != nil {
		t.Errorf("a button gets %t, %v", allowed, err)
	}
	clock.SetTime(noon.Add(answerLife + time.Second)) // what was answered is forgotten
	if got, want := greedy(), int((answerLife+time.Second)/askedEach); got != want {
		t.Errorf("six seconds later %d questions are asked, want %d", got, want)
	}
}

func TestAVisitorMakesOnePageAtATime(t *testing.T) {
	p := &Portal{access: newAccess(&judge{answer: denied}, clocktesting.NewFakePassiveClock(noon)), lists: &room{places: make(chan struct{}, maxLists), patience: listWait}}
	who := named("somebody", 1)
	p.access.of(who).pages.patience = time.Millisecond
	leave, err := p.enterLists(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.enterLists(t.Context(), named("somebody", 2)); !isBusy(err) {
		t.Errorf("a second page, with another token, gets %v", err)
	}
	if len(p.lists.places) != 1 {
		t.Errorf("one visitor takes %d places", len(p.lists.places))
	}
	other, err := p.enterLists(t.Context(), named("somebody-else", 1))
	if err != nil {
		t.Errorf("another visitor gets %v", err)
	} else {
		other()
	}
	leave()
	leave() // as often as they like
	if again, err := p.enterLists(t.Context(), who); err != nil {
		t.Error(err)
	} else {
		again()
	}
	if len(p.lists.places) != 0 {
		t.Errorf("%d places are taken for ever", len(p.lists.places))
	}
}

func TestTheCookiesOfABrowserFitIntoAHeader(t *testing.T) {
	p := &Portal{clock: clocktesting.NewFakePassiveClock(noon)}
	held := map[string]string{sessionCookie: strings.Repeat("t", maxToken)}
	browse := func(answer func(w http.ResponseWriter, r *http.Request)) {
		request, recorder := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		for _, prefix := range []string{sessionCookie, signin.CookiePrefix, resultCookie} {
			for i := range 100 { // the oldest first
				for name, value := range held {
					if strings.HasPrefix(name, prefix) && (strings.HasSuffix(name, fmt.Sprintf("-%016d", i)) || prefix == sessionCookie && i == 0) {
						request.AddCookie(&http.Cookie{Name: name, Value: value})
					}
				}
			}
		}
		answer(recorder, request)
		for _, cookie := range recorder.Result().Cookies() {
			if held[cookie.Name] = cookie.Value; cookie.MaxAge < 0 {
				delete(held, cookie.Name)
			}
		}
	}
	for i := range 50 {
		browse(func(w http.ResponseWriter, r *http.Request) {
			p.forgetOldest(w, r, signin.CookiePrefix, maxVisitCookies-1)
			p.setCookie(w, fmt.Sprintf("%s%016d", signin.CookiePrefix, i), strings.Repeat("n", 63+1+253+1+43), signin.VisitLife)
		})
		browse(func(w http.ResponseWriter, r *http.Request) {
			p.forgetOldest(w, r, resultCookie, maxResultCookies-1)
			p.setCookie(w, fmt.Sprintf("%s%016d", resultCookie, i), strings.Repeat("r", maxResult), resultLife)
		})
	}
	size := 0
	for name, value := range held {
		size += len(name) + len("=; ") + len(value)
	}
	if size > bounds.HeaderBytes-800 || len(held) != 1+maxVisitCookies+maxResultCookies {
		t.Errorf("%d cookies take %d bytes", len(held), size)
	}
}
