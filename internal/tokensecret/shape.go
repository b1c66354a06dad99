package tokensecret

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// A token Secret is a Secret that the authors of accounts shape, who may not write Secrets themselves. The API server refuses the shapes that
// other controllers would take for theirs (a Helm release, the credentials of a repository); accounts that were stored before it did are
// refused here, by the same rules.

// allowedTypes are those that a token Secret may have.
var allowedTypes = []string{string(corev1.SecretTypeOpaque), string(corev1.SecretTypeBasicAuth), string(corev1.SecretTypeDockerConfigJson)}

// othersKeys matches the keys of labels and annotations by which other controllers go.
var othersKeys = regexp.MustCompile(`^([^/]*\.)?(kubernetes\.io|k8s\.io|helm\.sh|argoproj\.io|fluxcd\.io|tokenkeeper\.dev)/`)

// checkShape tells whether a token Secret may have this shape, which may be nil.
func checkShape(shape *v1alpha1.TokenSecretTemplate) error {
	if shape == nil {
		return nil
	}
	if shape.Type != "" && !slices.Contains(allowedTypes, shape.Type) {
		return fmt.Errorf("spec.tokenSecret.template.type must be one of %s: Secrets of other types mean something to other controllers; "+
			"set another spec.tokenSecret.name together with it", strings.Join(allowedTypes, ", "))
	}
	if err := checkKeys("labels", shape.Labels); err != nil {
		return err
	}
	return checkKeys("annotations", shape.Annotations)
}

func checkKeys[V ~string](field string, texts map[string]V) error {
	for _, key := range slices.Sorted(maps.Keys(texts)) { // in order, so that an error is the same each time
		if othersKeys.MatchString(key) {
			return fmt.Errorf("spec.tokenSecret.template.%s must not have %q: other controllers go by what is under that domain", field, key)
		}
	}
	return nil
}
