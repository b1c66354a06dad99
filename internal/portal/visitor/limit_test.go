package visitor

import (
	"context"
	"errors"
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

func TestLimiter(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(noon)
	limiter := newLimiter[netip.Prefix](clock, 3, maxAddresses)
	guesser, other := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	attempt := func(address netip.Prefix, failed bool) time.Duration {
		wait := limiter.wait(limiter.of(address))
		done, within := limiter.admit(address)
		if done(failed); within != (wait == 0) {
			t.Errorf("it is within the limit: %t, and there is room after %s", within, wait)
		}
		return wait
	}

	for range 100 {
		if wait := attempt(guesser, false); wait != 0 {
			t.Fatalf("who makes no mistake waits for %s", wait)
		}
	}
	for range 3 {
		if wait := attempt(guesser, true); wait != 0 {
			t.Fatalf("one of the first mistakes waits for %s", wait)
		}
	}
	if wait := attempt(guesser, true); wait != 5*time.Second {
		t.Errorf("the fourth waits for %s", wait)
	}
	if wait := attempt(other, true); wait != 0 {
		t.Errorf("another address waits for %s", wait)
	}
	clock.SetTime(noon.Add(3 * time.Second))
	if wait := attempt(guesser, true); wait != 2*time.Second {
		t.Errorf("after 3 s it waits for %s", wait)
	}
	clock.SetTime(noon.Add(5 * time.Second))
	if wait := attempt(guesser, true); wait != 0 {
		t.Errorf("after 5 s it waits for %s", wait)
	}
	if wait := limiter.fail(guesser); wait != 5*time.Second {
		t.Errorf("a failure that was not asked for waits for %s", wait)
	}
	clock.SetTime(noon.Add(time.Hour))
	for range 3 {
		if wait := limiter.fail(guesser); wait != 0 {
			t.Errorf("after an hour it waits for %s", wait)
		}
	}
	if wait := limiter.fail(guesser); wait == 0 {
		t.Error("an hour of patience buys more than at the beginning")
	}
}

func TestGuessesAtOnceAreCounted(t *testing.T) {
	limiter := newLimiter[netip.Prefix](clocktesting.NewFakePassiveClock(noon), 3, maxAddresses)
	address := netip.MustParsePrefix("192.0.2.1/32")
	var done []func(bool)
	for range 3 {
		admitted, within := limiter.admit(address)
		if !within {
			t.Fatal("it is beyond the limit")
		}
		done = append(done, admitted)
	}
	admitted, within := limiter.admit(address)
	if within {
		t.Error("four attempts are under way, and three may fail")
	}
	for range 100 { // who are refused after that take no room either
		_, _ = limiter.admit(address)
	}
	admitted(false)
	done[0](false)
	if _, within := limiter.admit(address); !within {
		t.Error("one was right, and the next is beyond the limit")
	}
}

func TestTheSlowLane(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(noon)
	lane := newSlowLane(clock)
	var waits []time.Duration
	lane.sleep = func(_ context.Context, wait time.Duration) error {
		waits = append(waits, wait)
		return nil
	}
	passed := 0
	for range 1000 {
		if err := lane.wait(t.Context()); err == nil {
			passed++
		} else if !isLimited(err) {
			t.Fatal(err)
		}
	}
	if longest := slices.Max(waits); passed != 30 || longest != 5*time.Second {
		t.Errorf("%d pass, after %s at most", passed, longest)
	}
	clock.SetTime(noon.Add(time.Second))
	for range 5 {
		if err := lane.wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := lane.wait(t.Context()); err == nil {
		t.Error("more than five pass in a second")
	}
}

func TestARoomIsNoLargerThanItIs(t *testing.T) {
	places := &room{places: make(chan struct{}, 1), patience: time.Millisecond}
	leave, err := places.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := places.enter(t.Context()); !isBusy(err) {
		t.Errorf("the second gets %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := places.enter(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("who has left gets %v", err)
	}
	leave()
	if _, err := places.enter(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAddressOfARequest(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:1234":               "192.0.2.1/32",
		"[::ffff:192.0.2.1]:1234":      "192.0.2.1/32",
		"[2001:db8:1:2:3:4:5:6]:1234":  "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1234":          "fe80::/64",
		"something that is no address": "invalid Prefix",
	} {
		request := httptest.NewRequest("GET", "/", nil)
		request.RemoteAddr = remote
		request.Header.Set("X-Forwarded-For", "198.51.100.7")
		request.Header.Set("Forwarded", "for=198.51.100.7")
		if got := addressOf(request, nil).String(); got != want {
			t.Errorf("%s is %s, want %s", remote, got, want)
		}
	}
}

func TestWhatATrustedProxySays(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}
	for sentence, test := range map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"nobody is before the proxy":        {"10.0.0.1:1", nil, "10.0.0.1/32"},
		"one proxy":                         {"10.0.0.1:1", []string{"198.51.100.7"}, "198.51.100.7/32"},
		"two proxies":                       {"10.0.0.1:1", []string{"198.51.100.7, 10.9.9.9"}, "198.51.100.7/32"},
		"two headers":                       {"10.0.0.1:1", []string{"203.0.113.1", "198.51.100.7,10.9.9.9"}, "198.51.100.7/32"},
		"the visitor writes the header too": {"10.0.0.1:1", []string{"203.0.113.1, 198.51.100.7"}, "198.51.100.7/32"},
		"the visitor claims to be a proxy":  {"10.0.0.1:1", []string{"203.0.113.1, 10.1.1.1, 198.51.100.7"}, "198.51.100.7/32"},
		"a proxy that is not trusted":       {"192.0.2.1:1", []string{"198.51.100.7"}, "192.0.2.1/32"},
		"words":                             {"10.0.0.1:1", []string{"198.51.100.7, unknown"}, "10.0.0.1/32"},
		"an IPv6 visitor":                   {"[2001:db8:1::5]:1", []string{"2001:db8:2:3:4::5"}, "2001:db8:2:3::/64"},
		"a mapped address":                  {"[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.7"}, "198.51.100.7/32"},
	} {
		request := httptest.NewRequest("GET", "/", nil)
		request.RemoteAddr = test.remote
		for _, header := range test.forwarded {
			request.Header.Add("X-Forwarded-For", header)
		}
		if got := addressOf(request, proxies).String(); got != test.want {
			t.Errorf("%s: it comes from %s, want %s", sentence, got, test.want)
		}
	}
}

func TestRecentForgetsWhatWasNotUsed(t *testing.T) {
	memory := newRecent[string, int](2)
	memory.put("a", 1)
	memory.put("b", 2)
	memory.put("a", 3)
	memory.put("c", 4)
	if _, found := memory.get("b"); found {
		t.Error("what was not used for longest is not forgotten")
	}
	if value, found := memory.get("a"); !found || value != 3 {
		t.Errorf("what was changed is %d", value)
	}
	memory.put("d", 5)
	if _, found := memory.get("c"); found {
		t.Error("reading is no use")
	}
	if len(memory.entries) != 2 || memory.order.Len() != 2 {
		t.Errorf("it remembers %d and %d", len(memory.entries), memory.order.Len())
	}
}
