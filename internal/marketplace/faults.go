package marketplace

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/client-go/util/jsonpath"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/placeholder"
)

// Faults are the faults of a Marketplace that the API server cannot see: each a sentence that begins with the field. It fills the spec in for
// every environment and grant, with every choice, as for an account that sets all parameters.
func Faults(object *v1alpha1.Marketplace) []string {
	found := map[string]bool{}
	note := func(err error) {
		if err == nil {
			return
		}
		_, fault, _ := strings.Cut(err.Error(), ": ") // it begins with the Marketplace's name
		found[fault] = true
	}
	spec := &object.Spec
	for _, environment := range spec.Environments {
		for _, set := range assignments(spec.Parameters) {
			for _, grant := range spec.Grants {
				platform := &Platform{
					Name: object.Name, authorization: *spec.AuthorizationRequest.DeepCopy(), request: *spec.TokenRequest.DeepCopy(),
				}
				filled := namesWith(environment, spec.Parameters, set)
				note(platform.fillEndpoints(spec, filled, grant))
				note(platform.fill(spec, filled, grant))
			}
		}
	}
	if spec.Application != nil {
		note(CheckSharedApplication(object))
	}
	for _, declared := range spec.Parameters {
		if _, err := regexp.Compile(declared.Pattern); err != nil {
			found["spec.parameters: the pattern of parameter \""+declared.Name+"\" is no regular expression"] = true
		}
	}
	if request := spec.Identity.Request; request != nil {
		for field, path := range map[string]string{"idPath": request.IDPath, "loginPath": request.LoginPath} {
			if path != "" && parsePath(path) != nil {
				found["spec.identity.request."+field+": is no JSONPath"] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func parsePath(path string) error {
	if err := jsonpath.New("identity").Parse(path); err != nil {
		return errors.New("is no JSONPath")
	}
	return nil
}

// assignments are the ways to choose, one parameter's choices after the other's; all other parameters keep their first.
func assignments(declared []v1alpha1.ParameterDeclaration) []map[string]v1alpha1.Choice {
	first := map[string]v1alpha1.Choice{}
	for _, parameter := range declared {
		if len(parameter.Choices) > 0 {
			first[parameter.Name] = parameter.Choices[0]
		}
	}
	all := []map[string]v1alpha1.Choice{first}
	for _, parameter := range declared {
		for _, choice := range parameter.Choices[min(1, len(parameter.Choices)):] {
			other := maps.Clone(first)
			other[parameter.Name] = choice
			all = append(all, other)
		}
	}
	return all
}

// namesWith are the names of an account that sets every parameter.
func namesWith(environment v1alpha1.Environment, declared []v1alpha1.ParameterDeclaration, set map[string]v1alpha1.Choice) names {
	result := names{
		addresses: map[string]string{}, texts: map[string]string{}, unset: map[string]string{}, known: []string{placeholder.ClientID, placeholder.AccountID, placeholder.Random},
	}
	for _, variable := range environment.Variables {
		result.addresses[variable.Name] = string(variable.Value)
	}
	for _, parameter := range declared {
		switch choice, chosen := set[parameter.Name]; {
		case chosen:
			result.addresses[parameter.Name] = choice.Value
			for _, variable := range choice.Variables {
				result.addresses[variable.Name] = string(variable.Value)
			}
		case parameter.Usage == v1alpha1.UsageValue:
			result.texts[parameter.Name] = "a"
		default:
			result.addresses[parameter.Name] = "a"
		}
	}
	return result
}
