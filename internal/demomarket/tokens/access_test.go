package tokens

import (
	"strconv"
	"testing"
	"time"
)

func TestAccessTokensThatRanOutAreForgotten(t *testing.T) {
	tokens := NewAccessTokens()
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	for i := range 10_000 {
		now = now.Add(time.Second)
		tokens.Add(strconv.Itoa(i), &AccessToken{Expires: now.Add(time.Minute)}, now)
		if len(tokens.tokens) > 60 || len(tokens.queue) > 60 {
			t.Fatalf("after %d tokens, %d are remembered", i+1, len(tokens.tokens))
		}
	}
	if tokens.Find("9999", now) == nil || tokens.Find("9900", now) != nil {
		t.Error("the wrong tokens are forgotten")
	}
}
