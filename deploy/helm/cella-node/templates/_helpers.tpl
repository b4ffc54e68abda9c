{{- define "cella.labels" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "cella.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "cella.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "cella.place" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "cella.deviceplugin.config" -}}
listen = tcp://0.0.0.0:9871
dev_folder = /host/dev
node_update = {{ ternary "yes" "no" .nodeUpdate }}
{{- range .dialects }}
dialect = {{ . }}
{{- end }}
{{- if ne (int .enclaveLimit) 110 }}
enclave_limit = {{ int .enclaveLimit }}
{{- end }}
{{- if ne (int .provisionLimit) 110 }}
provision_limit = {{ int .provisionLimit }}
{{- end }}
{{- if .softEnclaves }}
soft_enclaves = {{ int .softEnclaves }}
{{- end }}
{{- with .softPlatform }}
soft_platform = {{ . }}
{{- end }}
{{- if .quoteMount }}
quote_mount = yes
{{- end }}
{{- if ne .quoteHealth "report" }}
quote_health = {{ .quoteHealth }}
{{- end }}
{{- if .cdi }}
cdi = yes
cdi_folder = /host/cdi
{{- end }}
{{- if .seccompProfile }}
seccomp_profile = /usr/share/cella/seccomp.json
seccomp_folder = /host/seccomp
{{- end }}
{{- with .extraConfig }}
{{ trim . }}
{{- end }}
{{- end }}

{{- define "cella.webhook.config" -}}
listen = tls://0.0.0.0:9443
tls_certificate = /etc/cella/tls/tls.crt
tls_key = /etc/cella/tls/tls.key
{{- if ne .quoteProvider "none" }}
quote_provider = {{ .quoteProvider }}
{{- end }}
{{- if ne .devicesFor "any" }}
devices_for = {{ .devicesFor }}
{{- end }}
{{- range .taints }}
toleration = {{ . }}
{{- end }}
{{- end }}
