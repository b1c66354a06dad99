package room_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/tokenkeeper/tokenkeeper/internal/room"
)

// entered lists who has a place, in the order in which they came.
type entered struct {
	room  *room.Room
	names []string
	looks map[string]context.Context
	leave map[string]func()
}

func (e *entered) enter(t *testing.T, name string) {
	go func() {
		e.looks[name], e.leave[name] = e.room.Enter(t.Context())
		e.names = append(e.names, name)
	}()
	synctest.Wait()
}

func (e *entered) leaves(name string) {
	e.leave[name]()
	synctest.Wait()
}

func (e *entered) stepOut(name string) (back func()) {
	defer synctest.Wait()
	return room.StepOut(e.looks[name])
}

func (e *entered) want(t *testing.T, names ...string) {
	t.Helper()
	if !slices.Equal(e.names, names) {
		t.Fatalf("%v have come in, want %v", e.names, names)
	}
}

func play(t *testing.T, places int, story func(*testing.T, *entered)) {
	synctest.Test(t, func(t *testing.T) {
		e := &entered{room: room.New(places), looks: map[string]context.Context{}, leave: map[string]func(){}}
		story(t, e)
		for gone := 0; gone < len(e.names); gone++ { // who waits still comes in
			e.leaves(e.names[gone])
		}
	})
}

func TestLooksWaitForAPlace(t *testing.T) {
	play(t, 2, func(t *testing.T, e *entered) {
		for _, name := range []string{"a", "b", "c", "d"} {
			e.enter(t, name)
		}
		e.want(t, "a", "b")
		e.leaves("a")
		e.want(t, "a", "b", "c")
		e.leaves("a") // again, which is nothing
		e.want(t, "a", "b", "c")
		e.leaves("b")
		e.want(t, "a", "b", "c", "d")
	})
}

// A look that waits for its marketplace keeps nobody out, and is not kept out itself: it may hold the only copy of new tokens.
func TestAnAnswerDoesNotWaitForAPlace(t *testing.T) {
	play(t, 1, func(t *testing.T, e *entered) {
		for _, name := range []string{"a", "b", "c"} {
			e.enter(t, name)
		}
		e.want(t, "a")
		back := e.stepOut("a")
		e.want(t, "a", "b")
		back() // with the answer: a and b are inside now
		e.leaves("b")
		e.want(t, "a", "b")
		e.leaves("a")
		e.want(t, "a", "b", "c")
	})
}

// Requests of a look may be nested, and a look may end while one is under way.
func TestAPlaceIsGivenOnce(t *testing.T) {
	play(t, 1, func(t *testing.T, e *entered) {
		for _, name := range []string{"a", "b", "c"} {
			e.enter(t, name)
		}
		e.stepOut("a")
		e.stepOut("a")()
		e.want(t, "a", "b")
		e.leaves("a")
		e.want(t, "a", "b")
		e.leaves("b")
		e.want(t, "a", "b", "c")
	})
}

func TestStepOutWithoutARoom(t *testing.T) {
	room.StepOut(t.Context())()
}

func TestARoomHasAPlace(t *testing.T) {
	play(t, 0, func(t *testing.T, e *entered) {
		e.enter(t, "a")
		e.want(t, "a")
		e.leaves("a")
	})
}
