{{/* The name of the objects. */}}
{{- define "tokenkeeper.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tokenkeeper.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tokenkeeper.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed where serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The Secret with the key that authenticates grant Secrets. */}}
{{- define "tokenkeeper.custodyKeySecret" -}}
{{- default (printf "%s-custody-key" (include "tokenkeeper.fullname" .)) .Values.custodyKeySecret -}}
{{- end -}}

{{/* The labels by which Services find the pods. With release name "tokenkeeper" they are those of config/manager. */}}
{{- define "tokenkeeper.selectorLabels" -}}
app.kubernetes.io/name: tokenkeeper
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Whether the portal has pods of its own, and the labels of the pods that serve it. */}}
{{- define "tokenkeeper.portalIsSeparate" -}}
{{- if and .Values.portal.url .Values.portal.separate }}true{{ end -}}
{{- end -}}

{{- define "tokenkeeper.portalLabels" -}}
app.kubernetes.io/name: tokenkeeper{{ if include "tokenkeeper.portalIsSeparate" . }}-portal{{ end }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* A selector of all pods. */}}
{{- define "tokenkeeper.everyPod" -}}
{{- if include "tokenkeeper.portalIsSeparate" . -}}
matchLabels:
  app.kubernetes.io/instance: {{ .Release.Name }}
matchExpressions:
- {key: app.kubernetes.io/name, operator: In, values: [tokenkeeper, tokenkeeper-portal]}
{{- else -}}
matchLabels:
  {{- include "tokenkeeper.selectorLabels" . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "tokenkeeper.portalServiceAccountName" -}}
{{ include "tokenkeeper.serviceAccountName" . }}-portal
{{- end -}}

{{- define "tokenkeeper.labels" -}}
{{- $own := include "tokenkeeper.selectorLabels" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $own "app.kubernetes.io/version" (.Chart.AppVersion | trunc 63) -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63) -}}
{{- toYaml (merge $own .Values.commonLabels) -}}
{{- end -}}

{{/*
Metadata of an object: (dict "root" $ "name" "…"), and where it has them "namespace" (default: that of the release;
"-" for an object without one), "labels" and "annotations".
*/}}
{{- define "tokenkeeper.metadata" -}}
{{- $root := .root -}}
name: {{ .name }}
{{- with default $root.Release.Namespace .namespace }}
{{- if ne . "-" }}
namespace: {{ . }}
{{- end }}
{{- end }}
labels:
  {{- toYaml (merge (include "tokenkeeper.labels" $root | fromYaml) (default dict .labels)) | nindent 2 }}
{{- with merge (deepCopy (default dict .annotations)) $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* An object of config/, with the metadata of this release: (dict "root" $ "object" … "name" …). */}}
{{- define "tokenkeeper.adopt" -}}
{{- $metadata := .object.metadata -}}
{{- $given := dict "root" .root "name" .name "namespace" .namespace "labels" $metadata.labels "annotations" (merge (default dict .annotations) (default dict $metadata.annotations)) -}}
{{- $_ := set .object "metadata" (include "tokenkeeper.metadata" $given | fromYaml) -}}
{{- toYaml .object -}}
{{- end -}}

{{/* One of the documents of a file of config/: (dict "root" $ "file" "rbac/role.yaml" "kind" "Role"). */}}
{{- define "tokenkeeper.config" -}}
{{- $kind := .kind -}}
{{- range regexSplit "(?m)^---$" (.root.Files.Get (printf "files/%s" .file)) -1 -}}
{{- $document := fromYaml . -}}
{{- if eq (default "" $document.kind) $kind }}{{ toYaml $document }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "tokenkeeper.image" -}}
{{- $registry := .Values.image.registry -}}
{{- with .Values.global }}{{ $registry = default $registry .imageRegistry }}{{ end -}}
{{- $repository := .Values.image.repository -}}
{{- if $registry }}{{ $repository = printf "%s/%s" $registry $repository }}{{ end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The host of portal.url. */}}
{{- define "tokenkeeper.portalHost" -}}
{{- $url := urlParse (required "portal.url is needed for an Ingress or an HTTPRoute: it names the host" .Values.portal.url) -}}
{{- regexReplaceAll ":[0-9]+$" $url.host "" -}}
{{- end -}}

{{/* The container of config/manager. */}}
{{- define "tokenkeeper.container" -}}
{{- $deployment := include "tokenkeeper.config" (dict "root" . "file" "manager/deployment.yaml" "kind" "Deployment") | fromYaml -}}
{{- toYaml (first $deployment.spec.template.spec.containers) -}}
{{- end -}}

{{/*
Its arguments, and after them those that values ask for: the last one counts. With kustomize a ConfigMap holds what
installations set; here values do. (dict "root" $ "portalOnly" true) are those of a portal with pods of its own.
*/}}
{{- define "tokenkeeper.args" -}}
{{- $portalOnly := .portalOnly -}}
{{- with .root -}}
{{- $args := list -}}
{{- range (include "tokenkeeper.container" . | fromYaml).args }}
{{- if not (or (contains "$(" .) (and $portalOnly (eq . "--leader-elect"))) }}{{ $args = append $args . }}{{ end }}
{{- end -}}
{{- if $portalOnly }}{{ $args = append $args "--portal-only" }}{{ end -}}
{{- $elsewhere := and (not $portalOnly) (include "tokenkeeper.portalIsSeparate" .) -}}
{{- $args = append $args (printf "--portal-bind-address=%s" (ternary "0" ":8082" (not (empty $elsewhere)))) -}}
{{- /* Issuers of one's own network need extraArgs: [--deny-private-addresses=false]. */ -}}
{{- $args = append $args "--deny-private-addresses" -}}
{{- $args = append $args (printf "--metrics-secure=%t" .Values.metrics.secure) -}}
{{- $args = append $args (printf "--require-use-label=%t" .Values.requireUseLabel) -}}
{{- $args = append $args (printf "--sign-in-links=%s" .Values.signInLinks) -}}
{{- $args = append $args (printf "--custody-key-secret=%s" (include "tokenkeeper.custodyKeySecret" .)) -}}
{{- with .Values.portal.url }}{{ $args = append $args (printf "--portal-url=%s" .) }}{{ end -}}
{{- /* The kubelet fills in what looks like a variable, unless its dollar is doubled. */ -}}
{{- with .Values.portal.organisation }}{{ $args = append $args (printf "--portal-organisation=%s" (replace "$(" "$$(" .)) }}{{ end -}}
{{- with .Values.portal.contact }}{{ $args = append $args (printf "--portal-contact=%s" (replace "$(" "$$(" .)) }}{{ end -}}
{{- with .Values.portal.trustedProxies }}{{ $args = append $args (printf "--trusted-proxies=%s" (join "," .)) }}{{ end -}}
{{- with .Values.watch.namespaces }}{{ $args = append $args (printf "--watch-namespaces=%s" (join "," .)) }}{{ end -}}
{{- with .Values.watch.labelSelector }}{{ $args = append $args (printf "--watch-label-selector=%s" .) }}{{ end -}}
{{- toYaml (concat $args .Values.extraArgs) -}}
{{- end -}}
{{- end -}}

{{/* Nine tenths of limits.memory of some resources, so that the garbage collector works harder before the kernel kills. */}}
{{- define "tokenkeeper.memoryLimit" -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- with .limits }}
{{- with .memory }}
{{- $text := kindIs "string" . | ternary (toString .) (toString (int64 .)) -}}
{{- $number := regexFind "^[0-9]+(\\.[0-9]+)?" $text -}}
{{- $unit := trimPrefix $number $text -}}
{{- if or (not $number) (not (hasKey $units $unit)) }}{{ fail (printf "limits.memory is %v, want a number with Mi or Gi" .) }}{{ end -}}
{{- printf "%dMiB" (divf (mulf (float64 $number) (get $units $unit) 0.9) 1048576 | floor | int64) -}}
{{- end }}
{{- end }}
{{- end -}}

{{/* The environment of a container: (dict "root" $ "resources" …). */}}
{{- define "tokenkeeper.env" -}}
{{- $resources := .resources -}}
{{- with .root -}}
{{- $env := default list (include "tokenkeeper.container" . | fromYaml).env -}}
{{- $own := list -}}
{{- range $env }}{{ if and (ne .name "GOMEMLIMIT") (not .valueFrom) }}{{ $own = append $own . }}{{ end }}{{ end -}}
{{- with include "tokenkeeper.memoryLimit" $resources }}{{ $own = append $own (dict "name" "GOMEMLIMIT" "value" .) }}{{ end -}}
{{- if or .Values.proxy.https .Values.proxy.http -}}
{{- with .Values.proxy.https }}{{ $own = append $own (dict "name" "HTTPS_PROXY" "value" .) }}{{ end -}}
{{- with .Values.proxy.http }}{{ $own = append $own (dict "name" "HTTP_PROXY" "value" .) }}{{ end -}}
{{- /* The kubelet fills in the address of the API server, which no proxy may stand before. */ -}}
{{- $direct := concat (list "$(KUBERNETES_SERVICE_HOST)" "localhost" "127.0.0.1" "::1" ".svc" ".cluster.local") .Values.proxy.noProxy -}}
{{- $own = append $own (dict "name" "NO_PROXY" "value" (join "," $direct)) -}}
{{- end -}}
{{- if include "tokenkeeper.caVolume" . -}}
{{- $own = append $own (dict "name" "SSL_CERT_DIR" "value" "/etc/ssl/certs:/etc/tokenkeeper/ca") -}}
{{- end -}}
{{- with concat $own .Values.extraEnv }}{{ toYaml . }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "tokenkeeper.caVolume" -}}
{{- with .Values.caBundle -}}
{{- $given := compact (list .pem .configMapName .secretName) -}}
{{- if gt (len $given) 1 }}{{ fail "caBundle: give one of pem, configMapName and secretName" }}{{ end -}}
{{- if .pem }}configMap: {name: {{ include "tokenkeeper.fullname" $ }}-ca}
{{- else if .configMapName }}configMap: {name: {{ .configMapName | quote }}}
{{- else if .secretName }}secret: {secretName: {{ .secretName | quote }}}
{{- end -}}
{{- end -}}
{{- end -}}
