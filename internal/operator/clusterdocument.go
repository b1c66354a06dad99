package operator

import (
	"context"
	"fmt"
	"io"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// maxClusterDocument bounds the API server's answer.
const maxClusterDocument = 1 << 20

// clusterDocument reads a document of the API server at a path that is no resource, such as the keys of its tokens.
func clusterDocument(config *rest.Config, client *http.Client) func(ctx context.Context, path string) ([]byte, error) {
	return func(ctx context.Context, path string) ([]byte, error) {
		server, _, err := rest.DefaultServerUrlFor(config)
		if err != nil {
			return nil, fmt.Errorf("finding the API server: %w", err)
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.JoinPath(path).String(), nil)
		if err != nil {
			return nil, fmt.Errorf("asking the API server: %w", err)
		}
		response, err := client.Do(request)
		if err != nil {
			return nil, fmt.Errorf("asking the API server: %w", err)
		}
		defer func() { _ = response.Body.Close() }() // nothing is lost
		if response.StatusCode != http.StatusOK {
			return nil, apierrors.NewGenericServerResponse(response.StatusCode, http.MethodGet, schema.GroupResource{}, path, "", 0, false)
		}
		text, err := io.ReadAll(io.LimitReader(response.Body, maxClusterDocument))
		if err != nil {
			return nil, fmt.Errorf("reading from the API server: %w", err)
		}
		return text, nil
	}
}
