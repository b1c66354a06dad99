{{/*
The pods of a Deployment: (dict "root" $ "labels" … "serviceAccountName" … "resources" … "portalOnly" true). The container and its security are
those of config/manager.
*/}}
{{- define "tokenkeeper.pod" -}}
{{- $given := . -}}
{{- $root := .root -}}
{{- $config := include "tokenkeeper.config" (dict "root" $root "file" "manager/deployment.yaml" "kind" "Deployment") | fromYaml -}}
{{- $pod := $config.spec.template.spec -}}
{{- $container := first $pod.containers -}}
{{- $ports := list -}}
{{- range $container.ports }}
{{- if or (ne .name "portal") $given.portalOnly (not (include "tokenkeeper.portalIsSeparate" $root)) }}{{ $ports = append $ports . }}{{ end }}
{{- end -}}
{{- with $root -}}
metadata:
  labels:
    {{- toYaml (merge (deepCopy $given.labels) .Values.commonLabels) | nindent 4 }}
  annotations:
    kubectl.kubernetes.io/default-container: tokenkeeper
    {{- with .Values.caBundle.pem }}
    checksum/ca: {{ sha256sum . }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ $given.serviceAccountName }}
  {{- with concat .Values.imagePullSecrets (default list (default dict .Values.global).imagePullSecrets) | uniq }}
  imagePullSecrets:
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ $pod.terminationGracePeriodSeconds }}
  securityContext:
    {{- toYaml $pod.securityContext | nindent 4 }}
  {{- with .Values.hostAliases }}
  hostAliases:
  {{- toYaml . | nindent 2 }}
  {{- end }}
  containers:
  - name: tokenkeeper
    image: {{ include "tokenkeeper.image" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args:
    {{- include "tokenkeeper.args" (dict "root" $root "portalOnly" $given.portalOnly) | nindent 4 }}
    {{- with include "tokenkeeper.env" (dict "root" $root "resources" $given.resources) }}
    env:
    {{- . | nindent 4 }}
    {{- end }}
    ports:
    {{- toYaml $ports | nindent 4 }}
    livenessProbe:
      {{- toYaml $container.livenessProbe | nindent 6 }}
    readinessProbe:
      {{- toYaml $container.readinessProbe | nindent 6 }}
    resources:
      {{- toYaml $given.resources | nindent 6 }}
    securityContext:
      {{- toYaml $container.securityContext | nindent 6 }}
    {{- $ca := include "tokenkeeper.caVolume" . }}
    {{- if or $ca .Values.extraVolumeMounts }}
    volumeMounts:
    {{- if $ca }}
    - {name: ca, mountPath: /etc/tokenkeeper/ca, readOnly: true}
    {{- end }}
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- end }}
  {{- with .Values.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- if or $ca .Values.extraVolumes }}
  volumes:
  {{- if $ca }}
  - name: ca
    {{- $ca | nindent 4 }}
  {{- end }}
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
{{- end -}}
