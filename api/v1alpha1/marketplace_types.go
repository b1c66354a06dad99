package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// URLTemplate is an absolute URL in which {name} is replaced by a variable of the environment or by a
// parameter of the account. Plain http is allowed only to a loopback address.
//
// +kubebuilder:validation:MaxLength=2048
// +kubebuilder:validation:XValidation:rule=`self == "" || self.startsWith('https://') || self.matches(r'^http://(localhost|127[.]0[.]0[.]1|\[::1\])(:[0-9]{1,5})?([/?]|$)')`,message="must start with https:// (http:// only to a loopback address)"
// +kubebuilder:validation:XValidation:rule=`!self.startsWith('https://') || self.matches(r'^https://(([A-Za-z0-9._-]|\{[A-Za-z0-9_-]+\})+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?]|$)')`,message="must name a host, and must not hold a user name or password"
// +kubebuilder:validation:XValidation:rule=`self.matches(r"^([A-Za-z0-9._~:/?@!$&'()*+,;=\[\]-]|%[0-9A-Fa-f]{2}|\{[A-Za-z][A-Za-z0-9_-]*\})*$")`,message="must be made of characters that a URL may have and of {name} for a variable or parameter, and must not have a fragment"
type URLTemplate string

// Text is a header's or parameter's value, in which {name} is replaced as in a URL.
//
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]*$`
type Text string

// NameValue is a named value.
type NameValue struct {
	// name is the name; a letter, then letters, digits, '-' and '_'.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9_-]*$`
	Name string `json:"name,omitempty"`

	// value is the value.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	Value Text `json:"value,omitempty"`
}

// Environment is one of the platform's worlds, such as Production or Sandbox.
type Environment struct {
	// name is what an account's spec.environment says.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9_-]*$`
	Name string `json:"name,omitempty"`

	// variables replace {name} in every URL, header and parameter below.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Variables []NameValue `json:"variables,omitempty"`
}

// Usage tells where the value of an account's parameter may stand.
//
// +kubebuilder:validation:Enum=Address;Value
type Usage string

const (
	// UsageAddress: in URLs, headers and parameters. The value is made of letters, digits and . _ ~ -
	UsageAddress Usage = "Address"
	// UsageValue: in headers and parameters alone. The value may have any character that can be printed.
	UsageValue Usage = "Value"
)

// Choice is a value that an account may choose, with what comes along with it.
type Choice struct {
	// value is what an account sets.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9._~-]+$`
	Value string `json:"value,omitempty"`

	// description says to the author of an account what the value stands for.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Description string `json:"description,omitempty"`

	// variables replace {name} in every URL, header and parameter below, where an account chooses this value. Every choice of a
	// parameter has variables of the same names.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Variables []NameValue `json:"variables,omitempty"`
}

// ParameterDeclaration is what an account may or must set.
//
// +kubebuilder:validation:XValidation:rule="has(self.pattern) || has(self.enum) || has(self.choices)",message="pattern, enum or choices must be set: an account's value becomes part of a URL"
// +kubebuilder:validation:XValidation:rule="!has(self.usage) || self.usage != 'Value' || has(self.pattern)",message="pattern must be set with usage Value: it says which texts an account may send"
// +kubebuilder:validation:XValidation:rule="!has(self.choices) || !has(self.pattern) && !has(self.enum)",message="choices must not be set with pattern or enum: they list the values allowed"
// +kubebuilder:validation:XValidation:rule="!has(self.enum) || !has(self.default) || self.default in self.enum",message="default must be one of enum"
// +kubebuilder:validation:XValidation:rule="!has(self.choices) || !has(self.default) || self.choices.exists(c, c.value == self.default)",message="default must be the value of one of choices"
// +kubebuilder:validation:XValidation:rule="!has(self.pattern) || !has(self.default) || self.default.matches('^(?:' + self.pattern + ')$')",message="default must match pattern"
// +kubebuilder:validation:XValidation:rule="!has(self.default) || has(self.usage) && self.usage == 'Value' || self.default.matches('^[A-Za-z0-9._~-]+$')",message="default must be made of letters, digits and . _ ~ - unless usage is Value"
type ParameterDeclaration struct {
	// name is the parameter's name; {name} in a URL, header or parameter below is replaced by its value.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9_-]*$`
	// +kubebuilder:validation:XValidation:rule="self != 'accessToken'",message="must not be accessToken, which stands for the access token in the identity request"
	// +kubebuilder:validation:XValidation:rule="!(self in ['clientID', 'accountID', 'random', 'scope'])",message="must not be clientID, accountID, random or scope, which stand for what the operator knows"
	Name string `json:"name,omitempty"`

	// description says to the author of an account what to put here.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`

	// usage says where the value may stand. Address, the default: in URLs, headers and parameters; it is made of letters, digits and
	// . _ ~ - then. Value: in headers and parameters alone; it may have any character that can be printed, and must have a pattern.
	//
	// +optional
	// +kubebuilder:default=Address
	Usage Usage `json:"usage,omitempty"`

	// pattern is a regular expression (RE2) that the whole value must match.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="'a'.matches(self) in [true, false]",message="must be a regular expression (RE2)"
	Pattern string `json:"pattern,omitempty"`

	// enum lists the values allowed.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9._~-]+$`
	Enum []string `json:"enum,omitempty"`

	// choices list the values allowed, each with variables that come along with it, so that what belongs together is chosen together.
	//
	// +optional
	// +listType=map
	// +listMapKey=value
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Choices []Choice `json:"choices,omitempty"`

	// default is used when an account sets none.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	Default string `json:"default,omitempty"`

	// required says that an account must set the parameter; it need not where there is a default.
	//
	// +optional
	Required bool `json:"required,omitempty"`
}

// ApplicationSecret is what is known of client secrets.
type ApplicationSecret struct {
	// lifetime is how long the platform lets a client secret live.
	//
	// +optional
	Lifetime Duration `json:"lifetime,omitempty"`
}

// NamespacedSecretReference names a Secret in a namespace.
type NamespacedSecretReference struct {
	// name is the name of the Secret.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Name string `json:"name,omitempty"`

	// namespace is the namespace of the Secret.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace,omitempty"`
}

// Application is one registered application for many tenants, whose secret no tenant sees.
type Application struct {
	// secretRef names the Secret of the application.
	//
	// +required
	SecretRef NamespacedSecretReference `json:"secretRef,omitzero"`

	// namespaceSelector selects the namespaces whose accounts may use the application; {} selects all. Whoever may label namespaces decides with it
	// who uses the application: kubernetes.io/metadata.name is a label that nobody can set.
	//
	// +required
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && e.values.size() > 0 : e.operator in ['Exists', 'DoesNotExist'] && (!has(e.values) || e.values.size() == 0))",message="must have the operators In or NotIn with values, or Exists or DoesNotExist without"
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
}

// MarketplaceRenewal is when tokens are renewed at this platform.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.before) || !self.before.matches('^[0-9.hms]+$') || !has(self.maxBefore) || !self.maxBefore.matches('^[0-9.hms]+$') || duration(self.before) <= duration(self.maxBefore)`,message="before must not be longer than maxBefore"
type MarketplaceRenewal struct {
	// before is how long before its expiry a token is renewed, where an account does not say.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^[0-9.hms]+$') || duration(self) <= duration('8760h')`,message="must be at most 8760h"
	Before Duration `json:"before,omitempty"`

	// maxBefore is for a platform that refuses to renew earlier than this before expiry.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^[0-9.hms]+$') || duration(self) <= duration('8760h')`,message="must be at most 8760h"
	MaxBefore Duration `json:"maxBefore,omitempty"`
}

// MarketplaceSpec describes a platform that speaks OAuth 2, as data.
//
// +kubebuilder:validation:XValidation:rule="!has(self.parameters) || self.parameters.all(p, self.environments.all(e, !has(e.variables) || !e.variables.exists(v, v.name == p.name)))",message="parameters must not have the name of an environment's variable: {name} would mean both"
// +kubebuilder:validation:XValidation:rule=`!('AuthorizationCode' in self.grants) || (has(self.endpoints.authorization) && self.endpoints.authorization != "") || (has(self.endpoints.issuer) && self.endpoints.issuer != "")`,message="endpoints.authorization or endpoints.issuer must be set with grant AuthorizationCode"
// +kubebuilder:validation:XValidation:rule=`!('DeviceCode' in self.grants) || (has(self.endpoints.deviceAuthorization) && self.endpoints.deviceAuthorization != "") || (has(self.endpoints.issuer) && self.endpoints.issuer != "")`,message="endpoints.deviceAuthorization or endpoints.issuer must be set with grant DeviceCode"
// +kubebuilder:validation:XValidation:rule="!has(self.published) || !has(self.tokenResponse.fields) || self.published.all(p, !has(p.answer) || !(has(self.tokenResponse.fields.refreshToken) && p.answer == self.tokenResponse.fields.refreshToken || has(self.tokenResponse.fields.accessToken) && p.answer == self.tokenResponse.fields.accessToken))",message="published must not name the member of a token as answer"
// +kubebuilder:validation:XValidation:rule="!has(self.published) || self.published.all(p, !has(p.callback) || p.callback != self.authorizationRequest.callback.code)",message="published must not name the callback's code"
// +kubebuilder:validation:XValidation:rule="!has(self.application) || !has(self.parameters) || self.parameters.all(p, has(p.enum) || has(p.choices) || (!has(self.endpoints.issuer) || !self.endpoints.issuer.contains('{' + p.name + '}')) && (!has(self.endpoints.authorization) || !self.endpoints.authorization.matches('^https?://[^/?]*[{]' + p.name + '[}]')) && (!has(self.endpoints.deviceAuthorization) || !self.endpoints.deviceAuthorization.matches('^https?://[^/?]*[{]' + p.name + '[}]')) && (!has(self.endpoints.token) || !self.endpoints.token.matches('^https?://[^/?]*[{]' + p.name + '[}]')) && (!has(self.endpoints.refresh) || !self.endpoints.refresh.matches('^https?://[^/?]*[{]' + p.name + '[}]')) && (!has(self.endpoints.revocation) || !self.endpoints.revocation.matches('^https?://[^/?]*[{]' + p.name + '[}]')))",message="parameters in the host of an endpoint, or in the issuer, must have enum or choices where application is set: an account's author would choose where its secret goes"
type MarketplaceSpec struct {
	// displayName is the platform's name as people know it.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	DisplayName string `json:"displayName,omitempty"`

	// documentationURL is where the platform documents its OAuth endpoints.
	//
	// +optional
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^(https://[!-~]+)?$`
	DocumentationURL string `json:"documentationURL,omitempty"`

	// environments are the platform's worlds, such as Production and Sandbox.
	//
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Environments []Environment `json:"environments,omitempty"`

	// parameters are what an account may or must set. A header or parameter of a request that names one which the account leaves unset is not
	// sent.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Parameters []ParameterDeclaration `json:"parameters,omitempty"`

	// grants are the grants that accounts may use here.
	//
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Grants []GrantType `json:"grants,omitempty"`

	// endpoints are the platform's URLs. {name} is replaced by a variable or parameter.
	//
	// +required
	Endpoints Endpoints `json:"endpoints,omitzero"`

	// scopes are what is asked of the platform.
	//
	// +optional
	// +kubebuilder:default={}
	Scopes Scopes `json:"scopes,omitzero"`

	// authorizationRequest is how a browser is sent to sign in.
	//
	// +optional
	// +kubebuilder:default={}
	AuthorizationRequest AuthorizationRequest `json:"authorizationRequest,omitzero"`

	// tokenRequest is how the token endpoint is asked.
	//
	// +optional
	// +kubebuilder:default={}
	TokenRequest TokenRequest `json:"tokenRequest,omitzero"`

	// tokenResponse is how the token endpoint answers: only what differs from RFC 6749.
	//
	// +optional
	// +kubebuilder:default={}
	TokenResponse TokenResponse `json:"tokenResponse,omitzero"`

	// accessToken is what is known of access tokens.
	//
	// +optional
	AccessToken AccessToken `json:"accessToken,omitzero"`

	// refreshToken is what is known of refresh tokens.
	//
	// +optional
	// +kubebuilder:default={}
	RefreshToken RefreshToken `json:"refreshToken,omitzero"`

	// applicationSecret is what is known of client secrets.
	//
	// +optional
	ApplicationSecret ApplicationSecret `json:"applicationSecret,omitzero"`

	// application is one registered application for many tenants, whose secret no tenant sees. With it, parameters in the host of an
	// endpoint, or in the issuer, must list their values in enum or choices.
	//
	// +optional
	Application *Application `json:"application,omitempty"`

	// renewal is when tokens are renewed at this platform.
	//
	// +optional
	Renewal MarketplaceRenewal `json:"renewal,omitzero"`

	// identity is how the operator learns whose tokens it holds.
	//
	// +optional
	Identity Identity `json:"identity,omitzero"`

	// apiHosts are the hosts of the platform's API, to which workloads send the tokens. They are published in key api_hosts of the token Secret.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	APIHosts []HostTemplate `json:"apiHosts,omitempty"`

	// published are further keys of the token Secret, for what workloads must know beside the token: a value, a member of the answer or a
	// parameter of the callback.
	//
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=16
	Published []PublishedKey `json:"published,omitempty"`

	// limits bound what is asked of one token host with one client.
	//
	// +optional
	// +kubebuilder:default={}
	Limits Limits `json:"limits,omitzero"`
}

// MarketplaceStatus is what the operator found.
type MarketplaceStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions hold Valid: whether the spec can be filled in, and else what is wrong with it.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// accounts is how many accounts there are. It is absent where the operator sees some of them alone.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Accounts *int32 `json:"accounts,omitempty"`
}

// Marketplace is a platform that speaks OAuth 2, as data. Only cluster admins should write it: it says
// where credentials are sent.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=tokenkeeper
// +kubebuilder:printcolumn:name="Platform",type=string,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Grants",type=string,JSONPath=`.spec.grants`
// +kubebuilder:printcolumn:name="Accounts",type=integer,JSONPath=`.status.accounts`
// +kubebuilder:printcolumn:name="Valid",type=string,JSONPath=`.status.conditions[?(@.type=="Valid")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Documentation",type=string,priority=1,JSONPath=`.spec.documentationURL`
type Marketplace struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec describes the platform.
	//
	// +required
	Spec MarketplaceSpec `json:"spec,omitzero"`

	// status is what the operator found.
	//
	// +optional
	Status MarketplaceStatus `json:"status,omitzero"`
}

// MarketplaceList is a list of Marketplaces.
//
// +kubebuilder:object:root=true
type MarketplaceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	Items []Marketplace `json:"items"`
}
