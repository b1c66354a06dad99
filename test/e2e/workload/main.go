// Command workload is what tokenkeeper is for: a program that reads a token from a file which it mounts, and calls the marketplace with it. It
// prints a line for each token that it sees, with its number and the answer of the marketplace, and never the token.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: workload <file of the token> <address that takes it>")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	folder, file := filepath.Split(os.Args[1])
	work(ctx, os.DirFS(folder), file, os.Args[2])
}

// work reads the file again and again, as a program does that reads its token for each call.
func work(ctx context.Context, folder fs.FS, file, address string) {
	client := &http.Client{Timeout: 10 * time.Second}
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	var seen []byte
	for number := 0; ; {
		token, err := fs.ReadFile(folder, file)
		if err == nil && len(token) > 0 && !bytes.Equal(token, seen) {
			seen = token
			number++
			fmt.Fprintf(os.Stdout, "token %d: %s\n", number, call(ctx, client, address, string(token)))
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// call calls the marketplace, and returns its answer.
func call(ctx context.Context, client *http.Client, address, token string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "no address"
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", "application/vnd.allegro.public.v1+json")
	response, err := client.Do(request)
	if err != nil {
		return "no answer"
	}
	defer response.Body.Close()
	return response.Status
}
