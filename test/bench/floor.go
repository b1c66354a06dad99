package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// floorArgument makes this program the floor.
const floorArgument = "floor"

// The floor is the least that anybody would need for an account: it knows everything beforehand, watches nothing and decides nothing. For new
// tokens it makes the writes and the token call that the operator makes for grant RefreshToken at a platform that rotates, in the same order,
// of the same size and in the same encoding:
//
//  1. create or update the grant Secret with the journal: the refresh token is about to be spent;
//  2. ask the marketplace, on a connection of its own;
//  3. update the grant Secret with the tokens;
//  4. create or update the token Secret;
//  5. patch the status;
//  6. after the first tokens, create the event TokenIssued, while the next account is worked on.
//
// The floor of two writes leaves out the grant Secret, and loses the refresh token when it ends.
type floor struct {
	settings floorSettings
	kube     *kubernetes.Clientset
	market   *http.Client
	// due are accounts whose first or next tokens are due.
	due chan *floorAccount
}

// floorQueue is more than there ever are accounts: whoever creates them must not wait for the floor, as he does not wait for
// the operator.
const floorQueue = 1 << 20

// floorSettings are the first line of the floor's standard input.
type floorSettings struct {
	Kubeconfig  []byte
	TokenURL    string
	Concurrency int
	// TwoWrites leaves out the grant Secret.
	TwoWrites bool
	// Renews has tokens renewed until the input ends, at the moments at which the operator would.
	Renews bool
}

// floorLine is any other line: an account that was created.
type floorLine struct {
	Namespace, Name, UID string
}

// serveFloor works on the accounts that come in, says "ready" before and ends with the input.
func serveFloor(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := json.NewDecoder(bufio.NewReader(in))
	f := floor{due: make(chan *floorAccount, floorQueue), market: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	if err := lines.Decode(&f.settings); err != nil {
		return fmt.Errorf("reading the settings: %w", err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(f.settings.Kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	config.ContentType = runtime.ContentTypeProtobuf // as the operator has it for what is built in
	if f.kube, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	fmt.Fprintln(out, "ready")

	group, ctx := errgroup.WithContext(ctx)
	ended := make(chan struct{}) // the input: every account has its tokens by then, and what is due meanwhile is not wanted
	for range f.settings.Concurrency {
		group.Go(func() error { return f.work(ctx, ended) })
	}
	group.Go(func() error {
		defer close(ended)
		for {
			var line floorLine
			if err := lines.Decode(&line); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("reading an account: %w", err)
			}
			f.due <- newFloorAccount(line)
		}
	})
	return group.Wait()
}

// work serves accounts, one after the other.
func (f *floor) work(ctx context.Context, ended <-chan struct{}) error {
	var events sync.WaitGroup
	defer events.Wait()
	for {
		select {
		case <-ended:
			return nil
		case account := <-f.due:
			first := account.kept.Serial == 0
			if err := f.serve(ctx, account); err != nil {
				return err
			}
			if first {
				events.Go(func() { f.emitEvent(context.WithoutCancel(ctx), account) })
			}
			if f.settings.Renews {
				time.AfterFunc(time.Until(account.kept.Tokens.RenewAt), func() { f.due <- account })
			}
		}
	}
}
