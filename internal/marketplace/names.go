package marketplace

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/placeholder"
)

// names are the values of the {name}s.
type names struct {
	// addresses may stand in URLs too, texts in headers and parameters alone.
	addresses, texts map[string]string
	// unset are declared and not set: each with the parameter that the account would have to set.
	unset map[string]string
	// known are the names that are filled in when a request is made.
	known []string
}

// namesFor joins the environment's variables, the account's parameters, and the variables that come with them.
func namesFor(object *v1alpha1.Marketplace, account *v1alpha1.MarketplaceAccount) (names, error) {
	spec := &object.Spec
	result := names{
		addresses: map[string]string{}, texts: map[string]string{}, unset: map[string]string{},
		known: []string{placeholder.ClientID, placeholder.AccountID, placeholder.Random},
	}
	at := slices.IndexFunc(spec.Environments, func(e v1alpha1.Environment) bool { return e.Name == account.Spec.Environment })
	if at < 0 {
		environments := make([]string, len(spec.Environments))
		for i, e := range spec.Environments {
			environments[i] = e.Name
		}
		return result, fmt.Errorf("spec.environment: Marketplace %q has no environment %q; it has %s",
			object.Name, account.Spec.Environment, join(environments))
	}
	for _, variable := range spec.Environments[at].Variables {
		result.addresses[variable.Name] = string(variable.Value)
	}
	set := map[string]string{}
	for _, parameter := range account.Spec.Parameters {
		set[parameter.Name] = parameter.Value
	}
	for _, declared := range spec.Parameters {
		if err := result.add(declared, set[declared.Name]); err != nil {
			return result, err
		}
		delete(set, declared.Name)
	}
	if len(set) > 0 {
		declared := make([]string, len(spec.Parameters))
		for i, parameter := range spec.Parameters {
			declared[i] = parameter.Name
		}
		return result, fmt.Errorf("spec.parameters: Marketplace %q declares no parameter %s; it declares %s",
			object.Name, join(slices.Sorted(maps.Keys(set))), cmp.Or(join(declared), "none"))
	}
	return result, nil
}

// add takes in the value of a declared parameter; empty where the account sets none.
func (n names) add(declared v1alpha1.ParameterDeclaration, set string) error {
	value, err := parameter(declared, set)
	switch {
	case err != nil:
		return err
	case value == "":
		n.unset[declared.Name] = declared.Name
	case declared.Usage == v1alpha1.UsageValue:
		n.texts[declared.Name] = value
	default:
		n.addresses[declared.Name] = value
	}
	for _, choice := range declared.Choices {
		for _, variable := range choice.Variables {
			if choice.Value == value {
				n.addresses[variable.Name] = string(variable.Value)
			} else if _, ok := n.addresses[variable.Name]; !ok {
				n.unset[variable.Name] = declared.Name
			}
		}
	}
	return nil
}

var (
	// harmless is a value that can become part of a URL without changing which URL it is: characters that need no
	// escape (RFC 3986 section 2.3), and not dots alone.
	harmless = regexp.MustCompile(`^[A-Za-z0-9._~-]*[A-Za-z0-9_~-][A-Za-z0-9._~-]*$`)
	// printable is a value that can stand in a header (RFC 9110 section 5.5) and, escaped, in a form.
	printable = regexp.MustCompile(`^[ -~]*$`)
)

// parameter is the value of a declared parameter for an account that sets it, or leaves it to the default.
func parameter(declared v1alpha1.ParameterDeclaration, value string) (string, error) {
	failed := func(must string) error {
		return fmt.Errorf("spec.parameters: parameter %q must %s", declared.Name, must)
	}
	value = cmp.Or(value, declared.Default)
	switch {
	case value == "" && declared.Required:
		return "", failed("be set: " + cmp.Or(declared.Description, join(choicesOf(declared))))
	case value == "":
		return "", nil
	case declared.Usage == v1alpha1.UsageValue && !printable.MatchString(value):
		return "", failed("be made of ASCII characters that can be printed")
	case declared.Usage != v1alpha1.UsageValue && !harmless.MatchString(value):
		return "", failed("be made of letters, digits and . _ ~ -, and not of dots alone")
	case len(declared.Enum) > 0 && !slices.Contains(declared.Enum, value):
		return "", failed("be one of " + join(declared.Enum))
	case len(declared.Choices) > 0 && !slices.Contains(choicesOf(declared), value):
		return "", failed("be one of " + join(choicesOf(declared)))
	case declared.Pattern == "":
		return value, nil
	}
	pattern, err := regexp.Compile(`^(?:` + declared.Pattern + `)$`)
	if err != nil {
		return "", fmt.Errorf("the Marketplace's pattern of parameter %q is no regular expression", declared.Name)
	}
	if !pattern.MatchString(value) {
		return "", failed("match " + declared.Pattern)
	}
	return value, nil
}

// choicesOf are the values that an account may choose.
func choicesOf(declared v1alpha1.ParameterDeclaration) []string {
	values := make([]string, len(declared.Choices))
	for i, choice := range declared.Choices {
		values[i] = choice.Value
	}
	return values
}

// text fills in a header's or parameter's value. It is not sent where it names a parameter that the account leaves unset. A name that is known
// only when the request is made stays as it is.
func (n names) text(text *v1alpha1.Text) (isSent bool, err error) {
	isSent = true
	filled, unknown := placeholder.Replace(string(*text), func(name string) (string, bool) {
		if value, ok := n.addresses[name]; ok {
			return value, true
		}
		if value, ok := n.texts[name]; ok {
			return value, true
		}
		if _, ok := n.unset[name]; ok {
			isSent = false
			return "", true
		}
		return "{" + name + "}", slices.Contains(n.known, name)
	})
	*text = v1alpha1.Text(filled)
	return isSent, unknownNames(unknown)
}

func unknownNames(unknown []string) error {
	if len(unknown) == 0 {
		return nil
	}
	return fmt.Errorf("%s is neither a variable of the environment nor a parameter that is set", strings.Join(unknown, ", "))
}

// sent fills in the values of a list, and leaves out the elements that are not sent. Where one cannot be filled in, the list stays as it is.
func sent[E any](n names, list []E, value func(*E) *v1alpha1.Text) ([]E, error) {
	filled := make([]E, 0, len(list))
	for _, element := range list {
		isSent, err := n.text(value(&element))
		if err != nil {
			return list, err
		}
		if isSent {
			filled = append(filled, element)
		}
	}
	return filled, nil
}

// url fills in a URL and checks the result, since a variable can hold anything.
func (n names) url(template string) (string, error) {
	if template == "" {
		return "", nil
	}
	var hint string
	filled, unknown := placeholder.Replace(template, func(name string) (string, bool) {
		value, ok := n.addresses[name]
		if parameter, isUnset := n.unset[name]; isUnset && parameter != name {
			hint = fmt.Sprintf("; it comes with parameter %q", parameter)
		}
		if _, isText := n.texts[name]; isText {
			hint = "; it has usage Value, and must not stand in an address"
		}
		return value, ok
	})
	if err := unknownNames(unknown); err != nil {
		return "", fmt.Errorf("%w%s", err, hint)
	}
	return filled, outgoing.CheckURL(filled)
}
