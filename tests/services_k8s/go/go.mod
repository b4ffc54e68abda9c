module cella.dev/tests/kubernetes

go 1.24

require (
	google.golang.org/grpc v1.65.0
	gopkg.in/evanphx/json-patch.v4 v4.12.0
	k8s.io/api v0.31.4
	k8s.io/apimachinery v0.31.4
	k8s.io/kubelet v0.31.4
	sigs.k8s.io/yaml v1.4.0
)
