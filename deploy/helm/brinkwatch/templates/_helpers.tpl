{{- define "brinkwatch.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "brinkwatch.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "brinkwatch.labels" -}}
{{ include "brinkwatch.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "brinkwatch.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* A probe with the scheme that the port speaks. */}}
{{- define "brinkwatch.probe" -}}
{{- $get := merge (dict "scheme" .scheme) .probe.httpGet -}}
{{- merge (dict "httpGet" $get) (omit .probe "httpGet") | toYaml -}}
{{- end -}}

{{/* What every container of a pod has: it is not root and writes nowhere but to its volumes. */}}
{{- define "brinkwatch.container" -}}
image: {{ include "brinkwatch.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "brinkwatch.mounts" -}}
- {name: config, mountPath: /etc/brinkwatch, readOnly: true}
- {name: kernels, mountPath: /var/cache/brinkwatch}
- {name: state, mountPath: /var/lib/brinkwatch}
- {name: tmp, mountPath: /tmp}
{{- range .Values.secrets }}
- {name: secret-{{ . }}, mountPath: /run/secrets/{{ . }}, readOnly: true}
{{- end }}
{{- end -}}
