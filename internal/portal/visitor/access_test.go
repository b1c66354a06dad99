package visitor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// judge answers access reviews, and remembers them.
type judge struct {
	client.Writer
	answer func(ctx context.Context, on *authorizationv1.ResourceAttributes) (bool, error)

	mu    sync.Mutex
	asked []string
}

func (j *judge) Create(ctx context.Context, object client.Object, _ ...client.CreateOption) error {
	review, isReview := object.(*authorizationv1.SubjectAccessReview)
	if !isReview {
		return fmt.Errorf("nobody creates a %T", object)
	}
	on := review.Spec.ResourceAttributes
	j.mu.Lock()
	j.asked = append(j.asked, on.Verb+" "+on.Namespace+"/"+on.Name)
	j.mu.Unlock()
	var err error
	review.Status.Allowed, err = j.answer(ctx, on)
	return err
}

func denied(context.Context, *authorizationv1.ResourceAttributes) (bool, error) { return false, nil }

// hanging answers about everything at once, and does not answer about less.
func hanging(ctx context.Context, on *authorizationv1.ResourceAttributes) (bool, error) {
	if on.Namespace == "" {
		return false, nil
	}
	<-ctx.Done()
	return false, ctx.Err()
}

func somebody() *Visitor {
	return &Visitor{token: "t", key: tokenKey{1}, user: authenticationv1.UserInfo{Username: "somebody"}}
}

func many(count int) []types.NamespacedName {
	var accounts []types.NamespacedName
	for i := range count {
		accounts = append(accounts, types.NamespacedName{Namespace: fmt.Sprint("shop-", i%3), Name: fmt.Sprint("account-", i)})
	}
	return accounts
}

func TestQuestionsAboutSingleAccountsAreBounded(t *testing.T) {
	asked := &judge{answer: denied}
	if _, more, err := newAccess(asked, clock.RealClock{}).which(t.Context(), somebody(), toSee, many(5000)); err != nil || !more {
		t.Fatalf("some were not asked about: %t, %v", more, err)
	}
	if got, want := len(asked.asked), 1+3+maxSingle; got != want {
		t.Errorf("%d questions are asked, want %d", got, want)
	}
}

func TestTheSameQuestionAtOnceIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answered := make(chan struct{})
		asked := &judge{answer: func(context.Context, *authorizationv1.ResourceAttributes) (bool, error) {
			<-answered
			return true, nil
		}}
		access := newAccess(asked, clock.RealClock{})
		first, leave := context.WithCancel(t.Context())
		var pages sync.WaitGroup
		pages.Go(func() {
			if _, err := access.mightBefore(first, somebody(), verbList, "", ""); !errors.Is(err, context.Canceled) {
				t.Errorf("who has left gets %v", err)
			}
		})
		synctest.Wait()
		for range 50 {
			pages.Go(func() {
				if allowed, err := access.mightBefore(t.Context(), somebody(), verbList, "", ""); !allowed || err != nil {
					t.Errorf("it is allowed: %t, %v", allowed, err)
				}
			})
		}
		synctest.Wait()
		leave() // the others still get their answer
		synctest.Wait()
		close(answered)
		pages.Wait()
		if len(asked.asked) != 1 {
			t.Errorf("the API server is asked %d times", len(asked.asked))
		}
	})
}

func TestButtonsDoNotWaitForLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := &judge{answer: func(ctx context.Context, on *authorizationv1.ResourceAttributes) (bool, error) {
			if on.Verb == verbOperate {
				return true, nil
			}
			return hanging(ctx, on)
		}}
		access := newAccess(asked, clock.RealClock{})
		ctx, cancel := context.WithCancel(t.Context())
		var pages sync.WaitGroup
		pages.Go(func() { _, _ = access.each(ctx, somebody(), toSee.single, many(100)) })
		synctest.Wait()
		if allowed, err := access.may(t.Context(), somebody(), types.NamespacedName{Namespace: "shop", Name: "main"}); !allowed || err != nil {
			t.Errorf("it is allowed: %t, %v", allowed, err)
		}
		cancel()
		pages.Wait()
		time.Sleep(timeouts.Page) //nolint:forbidigo // it is the bubble's time: questions of nobody end
	})
}

func TestSlowAnswersAreThoseOfTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		access := newAccess(&judge{answer: hanging}, clock.RealClock{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err := access.which(ctx, somebody(), toSee, many(100))
		if cluster, isCluster := errors.AsType[*ClusterError](err); !isCluster || KindOf(cluster.Err) != "no answer in time" {
			t.Errorf("the error is %v", err)
		}
		time.Sleep(timeouts.Page) //nolint:forbidigo // it is the bubble's time: questions of nobody end
	})
}
