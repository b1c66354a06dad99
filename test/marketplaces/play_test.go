package marketplaces_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/exchange"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/openid"
)

// player goes through an exchange as the operator would.
type player struct {
	object   *v1alpha1.Marketplace
	ask      exchange.Ask
	platform *marketplace.Platform
	now      time.Time
	wire     *wire

	// endpoints are the endpoints that the issuer's document named.
	endpoints openid.Endpoints
	// consent, device and tokens are the results of the steps before.
	consent marketplace.Callback
	device  answer.DeviceCode
	tokens  answer.Tokens
	// known is the account of the tokens, as far as the steps before have told.
	known string
	// granted is when the person consented; zero before that.
	granted time.Time
	// ends is when the authorization ends by the platform's own word, and last when it does although renewals prolong it; zero where it told
	// none.
	ends, last time.Time
	// published are the values that answers and the callback have brought for the token Secret.
	published map[string]string
}

// play returns the first difference between an exchange and the Marketplace's way of it; nil when there is none.
func play(ctx context.Context, object *v1alpha1.Marketplace, file *exchange.File) error {
	p := &player{object: object, now: exchange.Begin}
	for i := range file.Steps {
		if err := p.step(ctx, &file.Steps[i]); err != nil {
			return fmt.Errorf("%s, step %d: %w", file.Name, i+1, err)
		}
	}
	return nil
}

func (p *player) step(ctx context.Context, step *exchange.Step) error {
	p.ask = p.ask.Then(step.Ask)
	p.now = p.now.Add(time.Duration(step.Ask.After))
	p.wire = &wire{step: step}
	outcome, got := p.outcome(ctx, step)
	if difference := p.wire.difference(); difference != "" {
		return fmt.Errorf("what is sent: %s", difference)
	}
	return compare(step, outcome, got)
}

// compare holds the result of a step against the one in the file.
func compare(step *exchange.Step, outcome string, got any) error {
	if outcome != step.Outcome {
		text, _ := yaml.Marshal(got)
		return fmt.Errorf("what comes of it is %s, want %s:\n%s", outcome, step.Outcome, text)
	}
	want := reflect.New(reflect.TypeOf(got))
	if err := yaml.UnmarshalStrict(step.Result, want.Interface()); err != nil {
		return fmt.Errorf("%s.yaml: %w", step.Outcome, err)
	}
	if difference := cmp.Diff(want.Elem().Interface(), got); difference != "" {
		return fmt.Errorf("%s (-want +got):\n%s", outcome, difference)
	}
	return nil
}

// outcome takes the step, and returns its result.
func (p *player) outcome(ctx context.Context, step *exchange.Step) (string, any) {
	if step.Ask.Do == exchange.Resolve {
		return p.describe(step)
	}
	if err := p.resolve(); err != nil {
		return "refused", refused{Kind: "InvalidSpec", Message: err.Error()}
	}
	outcome, got, err := p.act(ctx, step)
	if err == nil {
		return outcome, got
	}
	return p.failure(step, err)
}

// failure is the result of a request that brought nothing.
func (p *player) failure(step *exchange.Step, err error) (string, any) {
	if identity, ok := errors.AsType[*answer.IdentityError](err); ok {
		return "refused", refused{Kind: kindOfIdentity(identity), Status: identity.Status, Message: identity.Error()}
	}
	e, ok := errors.AsType[*answer.Error](err)
	switch {
	case !ok:
		return "refused", refused{Kind: "InvalidSpec", Message: err.Error()}
	case step.Request != nil && step.Answer == nil:
		return "lost", lost{Kind: string(e.Kind), OutcomeUnknown: e.OutcomeUnknown, Again: p.again()}
	}
	got := refused{
		Kind: string(e.Kind), Code: e.Code, Status: e.Status, Message: e.Message,
		RetryAfter: exchange.Duration(e.RetryAfter), OutcomeUnknown: e.OutcomeUnknown,
	}
	if shown := p.credentialIn(e.Error()); shown != "" {
		got.Message = fmt.Sprintf("what people read holds the credential %q: %s", shown, e.Error())
	}
	return "refused", got
}

func kindOfIdentity(e *answer.IdentityError) string {
	switch {
	case e.Refused():
		return "TokenRefused"
	case e.Unavailable():
		return "Unavailable"
	}
	return "NotTold"
}

// again is until when a refresh token whose answer was lost is sent once more.
func (p *player) again() string {
	switch {
	case p.ask.Do != exchange.Renew || !p.platform.Rotating:
		return "always"
	case p.platform.ReuseGrace > 0:
		return "for " + p.platform.ReuseGrace.String()
	case p.platform.LostAnswerNever:
		return "never"
	}
	return "at the end"
}
