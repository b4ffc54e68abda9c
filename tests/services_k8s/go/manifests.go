// The manifests of deploy/, decoded strictly into Kubernetes' own types, and what must hold between their parts. Side: tests.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	registration "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func kinds() map[string]any {
	return map[string]any{
		"v1/Namespace": &core.Namespace{}, "v1/ServiceAccount": &core.ServiceAccount{}, "v1/ConfigMap": &core.ConfigMap{},
		"v1/Service": &core.Service{}, "v1/Secret": &core.Secret{}, "apps/v1/DaemonSet": &apps.DaemonSet{}, "apps/v1/Deployment": &apps.Deployment{},
		"policy/v1/PodDisruptionBudget":                                &policy.PodDisruptionBudget{},
		"rbac.authorization.k8s.io/v1/ClusterRole":                     &rbac.ClusterRole{},
		"rbac.authorization.k8s.io/v1/ClusterRoleBinding":              &rbac.ClusterRoleBinding{},
		"admissionregistration.k8s.io/v1/MutatingWebhookConfiguration": &registration.MutatingWebhookConfiguration{},
	}
}

// No privilege, and nothing that is not there.
func checkPods(name string, selector *meta.LabelSelector, template *core.PodTemplateSpec) {
	for key, value := range selector.MatchLabels {
		check(template.Labels[key] == value, "%s: the selector does not select its pods", name)
	}
	volumes := map[string]bool{}
	for _, volume := range template.Spec.Volumes {
		volumes[volume.Name] = true
	}
	for _, container := range template.Spec.Containers {
		security := container.SecurityContext
		check(security != nil && security.Privileged == nil && !*security.AllowPrivilegeEscalation && *security.ReadOnlyRootFilesystem &&
			len(security.Capabilities.Drop) == 1 && security.Capabilities.Drop[0] == "ALL" && len(security.Capabilities.Add) == 0,
			"%s: privileges", name)
		check(security.SeccompProfile != nil || template.Spec.SecurityContext.SeccompProfile != nil, "%s: no seccomp profile", name)
		for _, mount := range container.VolumeMounts {
			check(volumes[mount.Name], "%s: no volume %s", name, mount.Name)
		}
		check(!container.Resources.Limits.Memory().IsZero(), "%s: no limit of memory", name)
		for resource, limit := range container.Resources.Limits {
			if request, asked := container.Resources.Requests[resource]; bytes.ContainsRune([]byte(resource), '/') {
				check(asked && request.Equal(limit), "%s: %s: limit and request differ", name, resource)
			}
		}
	}
}

func manifest(name string, text []byte) {
	var head meta.TypeMeta
	must(yaml.Unmarshal(text, &head), name)
	if head.APIVersion == "cert-manager.io/v1" {
		return // whose types are another project's
	}
	object := kinds()[head.APIVersion+"/"+head.Kind]
	check(object != nil, "%s: unknown kind %s %s", name, head.APIVersion, head.Kind)
	must(yaml.UnmarshalStrict(text, object), name+" "+head.Kind)
	switch it := object.(type) {
	case *apps.DaemonSet:
		checkPods(name, it.Spec.Selector, &it.Spec.Template)
	case *apps.Deployment:
		checkPods(name, it.Spec.Selector, &it.Spec.Template)
	case *rbac.ClusterRole:
		for _, rule := range it.Rules {
			for _, verb := range rule.Verbs {
				check(verb == "get" || verb == "patch", "%s: the verb %s", name, verb)
			}
		}
	case *registration.MutatingWebhookConfiguration:
		for _, hook := range it.Webhooks {
			check(*hook.FailurePolicy == registration.Ignore && *hook.SideEffects == registration.SideEffectClassNone &&
				hook.NamespaceSelector != nil, "%s: may block pods", name)
		}
	}
}

func manifests(folder string) (failure string) {
	defer func() {
		if reason := recover(); reason != nil {
			failure = fmt.Sprint(reason)
		}
	}()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	must(err, folder)
	count := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(err, file)
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			if len(bytes.TrimSpace(document)) == 0 {
				continue
			}
			manifest(filepath.Base(file), document)
			count++
		}
	}
	check(count >= 14, "%d documents", count)
	return ""
}
