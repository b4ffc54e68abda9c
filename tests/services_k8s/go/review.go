// AdmissionReviews made of Kubernetes' own types, sent to cella-webhook; its patches are applied with the library that API
// servers use, and what comes out is decoded strictly into a Pod. Side: tests.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admission "k8s.io/api/admission/v1"
	admissionbeta "k8s.io/api/admission/v1beta1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

type webhook struct {
	client *http.Client
	url    string
}

func (w *webhook) post(body []byte) (int, []byte) {
	answer, err := w.client.Post(w.url+"/mutate?timeout=5s", "application/json", bytes.NewReader(body))
	must(err, "POST")
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(err, "body")
	return answer.StatusCode, text
}

func strictly(text []byte, into any) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	must(decoder.Decode(into), string(text))
}

func (w *webhook) review(pod *core.Pod, operation admission.Operation) (*core.Pod, []string) {
	raw, err := json.Marshal(pod)
	must(err, "pod")
	request := admission.AdmissionReview{
		TypeMeta: meta.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admission.AdmissionRequest{UID: "705ab4f5-6393-11e8-b7cc-42010a800002",
			Kind:      meta.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Resource:  meta.GroupVersionResource{Version: "v1", Resource: "pods"},
			Namespace: "default", Operation: operation, Object: runtime.RawExtension{Raw: raw}}}
	body, err := json.Marshal(request)
	must(err, "review")
	code, text := w.post(body)
	check(code == 200, "status %d: %s", code, text)
	var answer admission.AdmissionReview
	strictly(text, &answer)
	response := answer.Response
	check(answer.APIVersion == request.APIVersion && answer.Kind == request.Kind && response != nil &&
		response.UID == request.Request.UID && response.Allowed, "answer %s", text)
	if response.Patch == nil {
		return pod, response.Warnings
	}
	check(*response.PatchType == admission.PatchTypeJSONPatch, "patch type")
	patch, err := jsonpatch.DecodePatch(response.Patch)
	must(err, string(response.Patch))
	patched, err := patch.Apply(raw)
	must(err, string(response.Patch))
	var out core.Pod
	strictly(patched, &out)
	return &out, response.Warnings
}

func asking(name, quantity string) *core.Pod {
	amount := resource.MustParse(quantity)
	list := core.ResourceList{core.ResourceName(name): amount}
	return &core.Pod{TypeMeta: meta.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: meta.ObjectMeta{GenerateName: "oe-helloworld-"},
		Spec: core.PodSpec{RestartPolicy: core.RestartPolicyNever, Containers: []core.Container{
			{Name: "hello", Image: "example.org/hello", Resources: core.ResourceRequirements{Limits: list, Requests: list.DeepCopy()}},
			{Name: "plain", Image: "example.org/plain"}}}}
}

func has(c *core.Container, name string, amount int64) bool {
	limit, in := c.Resources.Limits[core.ResourceName(name)]
	request, asked := c.Resources.Requests[core.ResourceName(name)]
	return in && asked && limit.Value() == amount && request.Value() == amount
}

func tolerates(pod *core.Pod, key string) bool {
	taint := core.Taint{Key: key, Value: "yes", Effect: core.TaintEffectNoSchedule}
	for _, toleration := range pod.Spec.Tolerations {
		if toleration.ToleratesTaint(&taint) {
			return true
		}
	}
	return false
}

func warned(warnings []string, parts ...string) bool {
	for _, warning := range warnings {
		all := len(warning) < 256
		for _, part := range parts {
			all = all && strings.Contains(warning, part)
		}
		if all {
			return true
		}
	}
	return false
}

const (
	epc       = "sgx.intel.com/epc"
	provision = "sgx.intel.com/provision"
	alibaba   = "alibabacloud.com/sgx_epc_MiB"
	folder    = "/var/run/aesmd"
)

func testDialects(w *webhook) {
	for name, quantity := range map[string]string{epc: "10Mi", azure: "10", alibaba: "10"} {
		pod, warnings := w.review(asking(name, quantity), admission.Create)
		first, second := &pod.Spec.Containers[0], &pod.Spec.Containers[1]
		check(has(first, enclave, 1) && len(first.Resources.Limits) == 2 && len(warnings) == 0, "%s: %v %v", name, first.Resources, warnings)
		check(len(second.Resources.Limits) == 0 && len(second.Env) == 0 && len(second.VolumeMounts) == 0, "%s: the other container", name)
		check(tolerates(pod, epc) && tolerates(pod, azure) && !tolerates(pod, "other"), "%s: %v", name, pod.Spec.Tolerations)
		check(pod.Annotations[epc] == "10485760", "%s: %v", name, pod.Annotations)
		check(len(pod.Spec.Volumes) == 0, "%s: volumes without being asked", name)
		again, _ := w.review(pod, admission.Create)
		check(equal(again, pod), "%s: the second time changes nothing", name)
		updated, _ := w.review(asking(name, quantity), admission.Update)
		check(equal(updated, asking(name, quantity)), "%s: an update is left alone", name)
	}
}

func equal(a, b *core.Pod) bool {
	one, _ := json.Marshal(a)
	two, _ := json.Marshal(b)
	return bytes.Equal(one, two)
}

func testOthers(w *webhook) {
	plain := asking("cpu", "2")
	pod, warnings := w.review(plain, admission.Create)
	check(equal(pod, plain) && len(warnings) == 0, "a pod that asks for nothing is left alone")
	empty := &core.Pod{}
	pod, _ = w.review(empty, admission.Create)
	check(equal(pod, empty), "an empty pod")
	soft, _ := w.review(asking("cella.dev/soft-enclave", "1"), admission.Create)
	check(len(soft.Spec.Containers[0].Resources.Limits) == 1 && tolerates(soft, epc), "a software enclave")
}

func testQuotes(w *webhook) {
	pod := asking(epc, "10Mi")
	pod.Annotations = map[string]string{"sgx.intel.com/quote-provider": "hello"}
	out, _ := w.review(pod, admission.Create)
	check(has(&out.Spec.Containers[0], provision, 1) && has(&out.Spec.Containers[0], enclave, 1), "in-process quotes")

	pod.Annotations["sgx.intel.com/quote-provider"] = "aesmd"
	out, _ = w.review(pod, admission.Create)
	c := out.Spec.Containers[0]
	check(len(out.Spec.Volumes) == 1 && out.Spec.Volumes[0].HostPath.Path == folder && len(c.VolumeMounts) == 1 &&
		c.VolumeMounts[0].MountPath == folder && c.VolumeMounts[0].Name == out.Spec.Volumes[0].Name &&
		len(c.Env) == 1 && c.Env[0].Name == "SGX_AESM_ADDR" && c.Env[0].Value == "1", "the socket: %v", c)
	check(!has(&c, provision, 1) && len(out.Spec.Containers[1].Env) == 0, "not more")

	// the public AKS hello world: its own volume and mount
	pod.Spec.Volumes = []core.Volume{{Name: "var-run-aesmd", VolumeSource: core.VolumeSource{
		HostPath: &core.HostPathVolumeSource{Path: folder + "/"}}}}
	pod.Spec.Containers[0].VolumeMounts = []core.VolumeMount{{Name: "var-run-aesmd", MountPath: folder}}
	pod.Spec.Tolerations = []core.Toleration{{Operator: core.TolerationOpExists}}
	out, _ = w.review(pod, admission.Create)
	check(len(out.Spec.Volumes) == 1 && len(out.Spec.Containers[0].VolumeMounts) == 1 && len(out.Spec.Tolerations) == 1, "what is there stays")

	// a quote service as a sidecar
	pod = asking(epc, "10Mi")
	pod.Annotations = map[string]string{"cella.dev/quote-provider": "aesmd"}
	pod.Spec.Containers[1].Name = "aesmd"
	pod.Spec.Volumes = []core.Volume{{Name: "cella-quote-socket"}}
	out, _ = w.review(pod, admission.Create)
	check(len(out.Spec.Volumes) == 2 && out.Spec.Volumes[1].Name == "cella-quote-socket-1" &&
		out.Spec.Volumes[1].EmptyDir.Medium == core.StorageMediumMemory &&
		out.Spec.Containers[1].VolumeMounts[0].Name == "cella-quote-socket-1" && len(out.Spec.Containers[1].Env) == 0, "sidecar: %v", out.Spec)

	pod.Annotations["cella.dev/quote-provider"] = "nobody"
	_, warnings := w.review(pod, admission.Create)
	check(warned(warnings, "nobody"), "%v", warnings)
}

func testWarnings(w *webhook) {
	for name, meant := range map[string]string{
		"sgx.intel.com/sgx_epc_mem_in_MiB":        epc, // in a published FAQ
		"sgx.intel.com/ecp":                       epc,
		"sgx.intel.com/enclaves":                  enclave,
		"kubernetes.azure.com/sgx_epc_mem_in_MIB": azure,
		"alibabacloud.com/sgx_epc_mib":            alibaba,
		"intel.com/sgx_epc":                       epc,
		"cella.dev/soft-enclaves":                 "cella.dev/soft-enclave",
	} {
		pod, warnings := w.review(asking(name, "1"), admission.Create)
		check(warned(warnings, `"hello"`, name, `"`+meant+`"`) && len(warnings) == 1, "%s: %v", name, warnings)
		check(equal(pod, asking(name, "1")), "%s: not changed", name)
	}
	for _, name := range []string{"nvidia.com/gpu", "memory", "hugepages-2Mi", "sgx.intel.com/qe", "example.org/special"} {
		_, warnings := w.review(asking(name, "1"), admission.Create)
		check(len(warnings) == 0, "%s: %v", name, warnings)
	}
	_, warnings := w.review(asking(epc, "10"), admission.Create)
	check(warned(warnings, "bytes", "10Mi"), "%v", warnings)
}

func testBeta(w *webhook) {
	raw, _ := json.Marshal(asking(epc, "1Gi"))
	body, _ := json.Marshal(admissionbeta.AdmissionReview{
		TypeMeta: meta.TypeMeta{APIVersion: "admission.k8s.io/v1beta1", Kind: "AdmissionReview"},
		Request: &admissionbeta.AdmissionRequest{UID: "u", Kind: meta.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Operation: admissionbeta.Create, Object: runtime.RawExtension{Raw: raw}}})
	code, text := w.post(body)
	var answer admissionbeta.AdmissionReview
	strictly(text, &answer)
	check(code == 200 && answer.APIVersion == "admission.k8s.io/v1beta1" && answer.Response.Allowed && len(answer.Response.Patch) > 0, "%s", text)
}

// Pods as no client library makes them.
func testShapes(w *webhook) {
	const head = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","kind":{"group":"","version":"v1","kind":"Pod"},"operation":"CREATE","object":`
	for _, pod := range []string{
		`null`, `{}`, `[]`, `7`, `{"spec":null}`, `{"spec":{"containers":null}}`, `{"spec":{"containers":[null,7,"x",[]]}}`,
		`{"spec":{"containers":[{"resources":null}]}}`, `{"spec":{"containers":[{"resources":{"limits":[1]}}]}}`,
		`{"metadata":7,"spec":{"containers":[{"resources":{"limits":{"sgx.intel.com/epc":"1Mi"},"requests":null}}],"tolerations":null}}`,
		`{"metadata":{"annotations":null},"spec":{"initContainers":[{"name":7,"env":"x","volumeMounts":{},"resources":{"limits":{"sgx.intel.com/epc":1e300}}}],"volumes":3}}`,
		`{"metadata":{"annotations":{"sgx.intel.com/quote-provider":"aesmd"}},"spec":{"volumes":null,"containers":[{"env":null,"resources":{"limits":{"sgx.intel.com/epc":"9999999999999999999999999Ei"},"requests":{"sgx.intel.com/epc":"1Mi"}}}],"tolerations":[null,{"key":4}]}}`,
	} {
		code, text := w.post([]byte(head + pod + "}}"))
		var answer admission.AdmissionReview
		strictly(text, &answer)
		check(code == 200 && answer.Response.Allowed, "%s: %d %s", pod, code, text)
		if answer.Response.Patch != nil {
			patch, err := jsonpatch.DecodePatch(answer.Response.Patch)
			must(err, pod)
			_, err = patch.Apply([]byte(pod))
			must(err, pod+" "+string(answer.Response.Patch))
		}
	}
	for _, body := range []string{``, `{`, `[]`, `{}`, `{"kind":"AdmissionReview"}`, `{"apiVersion":"admission.k8s.io/v2","kind":"AdmissionReview","request":{"uid":"u"}}`,
		`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":null}`, strings.Repeat("[", 100000), "\xff\xfe", `{"kind":"\u0000"}`} {
		code, text := w.post([]byte(body))
		check(code == 400 && json.Valid(text), "%.40q: %d %s", body, code, text)
	}
}

func review(url, ca string) (failure string) {
	defer func() {
		if reason := recover(); reason != nil {
			failure = fmt.Sprint(reason)
		}
	}()
	text, err := os.ReadFile(ca)
	must(err, ca)
	pool := x509.NewCertPool()
	check(pool.AppendCertsFromPEM(text), "%s", ca)
	w := &webhook{url: url, client: &http.Client{Timeout: 10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}}
	testDialects(w)
	testOthers(w)
	testQuotes(w)
	testWarnings(w)
	testBeta(w)
	testShapes(w)
	return ""
}
