{{- define "audience-sync.labels" -}}
app.kubernetes.io/name: audience-sync
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "audience-sync.metadata" -}}
name: {{ .Release.Name }}
labels:
  {{- include "audience-sync.labels" . | nindent 2 }}
  app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .Release.Service }}
  helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* The pod of both modes. "command": how the container starts, as YAML. */}}
{{- define "audience-sync.pod" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
automountServiceAccountToken: false
terminationGracePeriodSeconds: 30
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- if .root.Values.upgradeStore }}
initContainers:
  - name: upgrade
    args: [db, upgrade]
    {{- include "audience-sync.container" .root | nindent 4 }}
{{- end }}
containers:
  - name: {{ .name }}
    {{- .command | nindent 4 }}
    {{- if and .root.Values.metricsPort (eq .name "schedule") }}
    ports:
      - {name: metrics, containerPort: {{ .root.Values.metricsPort }}}
    {{- end }}
    {{- include "audience-sync.container" .root | nindent 4 }}
volumes:
  - name: config
    configMap: {name: {{ .root.Values.existingConfig | default .root.Release.Name }}}
  - name: scratch
    emptyDir: {sizeLimit: {{ .root.Values.scratchSize }}}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "audience-sync.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
workingDir: /config
{{- with .Values.existingSecret }}
envFrom:
  - secretRef: {name: {{ . }}}
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: config, mountPath: /config, readOnly: true}
  - {name: scratch, mountPath: /tmp}
{{- end }}

{{- define "audience-sync.annotations" -}}
{{- /* A new config starts the schedulers again. */ -}}
checksum/config: {{ .Values.config | sha256sum }}
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}
