// A kubelet's side of the device plugin interface, with the kubelet's own published types and Google's gRPC, against
// cella-device-plugin as a process. Side: tests. Called by peers.py: kubelet PLUGIN.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	enclave = "sgx.intel.com/enclave"
	azure   = "kubernetes.azure.com/sgx_epc_mem_in_MiB"
	units   = 262144
)

func check(good bool, format string, arguments ...any) {
	if !good {
		panic(fmt.Sprintf(format, arguments...))
	}
}

func must(err error, what string) {
	check(err == nil, "%s: %v", what, err)
}

// An endpoint as a kubelet keeps it: dialled from within Register, before that is answered.
type endpoint struct {
	connection *grpc.ClientConn
	client     api.DevicePluginClient
	options    *api.DevicePluginOptions
}

type kubelet struct {
	folder    string
	server    *grpc.Server
	lock      sync.Mutex
	endpoints map[string]*endpoint
	requests  map[string]int
	refuse    int // so many registrations
	delay     time.Duration
	authority string
}

func (k *kubelet) dial(socket string) (*endpoint, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithBlock(), //nolint:staticcheck // as kubelets do
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}),
	}
	if k.authority != "" {
		options = append(options, grpc.WithAuthority(k.authority))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	connection, err := grpc.DialContext(ctx, "passthrough:///localhost", options...) //nolint:staticcheck
	if err != nil {
		return nil, err
	}
	e := &endpoint{connection: connection, client: api.NewDevicePluginClient(connection)}
	e.options, err = e.client.GetDevicePluginOptions(ctx, &api.Empty{})
	return e, err
}

func (k *kubelet) Register(ctx context.Context, request *api.RegisterRequest) (*api.Empty, error) {
	k.lock.Lock()
	k.requests[request.ResourceName]++
	refused := k.refuse > 0
	if refused {
		k.refuse--
	}
	k.lock.Unlock()
	if refused {
		return nil, status.Error(codes.Unavailable, "not now: 100% busy")
	}
	if request.Version != api.Version {
		return nil, fmt.Errorf("version %s", request.Version)
	}
	time.Sleep(k.delay)
	e, err := k.dial(filepath.Join(k.folder, request.Endpoint))
	if err != nil {
		return nil, err
	}
	k.lock.Lock()
	defer k.lock.Unlock()
	k.endpoints[request.ResourceName] = e
	return &api.Empty{}, nil
}

// A kubelet that starts: no socket of others stays.
func (k *kubelet) start() {
	entries, err := os.ReadDir(k.folder)
	must(err, "folder")
	for _, entry := range entries {
		if entry.Type()&os.ModeSocket != 0 {
			os.Remove(filepath.Join(k.folder, entry.Name()))
		}
	}
	k.endpoints = map[string]*endpoint{}
	k.requests = map[string]int{}
	listener, err := net.Listen("unix", filepath.Join(k.folder, "kubelet.sock"))
	must(err, "kubelet.sock")
	k.server = grpc.NewServer()
	api.RegisterRegistrationServer(k.server, k)
	go k.server.Serve(listener)
}

func (k *kubelet) stop() {
	k.server.Stop()
	k.lock.Lock()
	defer k.lock.Unlock()
	for _, e := range k.endpoints {
		e.connection.Close()
	}
}

func (k *kubelet) get(name string, limit time.Duration) *endpoint {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		k.lock.Lock()
		e := k.endpoints[name]
		k.lock.Unlock()
		if e != nil {
			return e
		}
	}
	panic(fmt.Sprintf("%s did not register within %v", name, limit))
}

type watcher struct {
	stream api.DevicePlugin_ListAndWatchClient
	cancel context.CancelFunc
}

func watch(e *endpoint) *watcher {
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := e.client.ListAndWatch(ctx, &api.Empty{})
	must(err, "ListAndWatch")
	return &watcher{stream, cancel}
}

func (w *watcher) next() []*api.Device {
	response, err := w.stream.Recv()
	must(err, "ListAndWatch")
	return response.Devices
}

func allHealthy(devices []*api.Device, health string) bool {
	for _, device := range devices {
		if device.Health != health {
			return false
		}
	}
	return true
}

func allocate(e *endpoint, ids ...string) (*api.AllocateResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return e.client.Allocate(ctx, &api.AllocateRequest{ContainerRequests: []*api.ContainerAllocateRequest{{DevicesIDs: ids}}})
}

func expect(err error, code codes.Code, text string) {
	check(status.Code(err) == code && strings.Contains(err.Error(), text), "expected %v %q, got %v", code, text, err)
}

type plugin struct {
	command *exec.Cmd
	log     bytes.Buffer
	folder  string
}

func startPlugin(program string, more string) (*plugin, *kubelet) {
	folder, err := os.MkdirTemp("", "cella-k8s-")
	must(err, "folder")
	p := &plugin{folder: folder}
	for name, number := range map[string]string{"sgx_enclave": "1:3", "sgx_provision": "1:5"} {
		must(os.MkdirAll(filepath.Join(folder, "sys/class/misc", name), 0o755), "sys")
		must(os.WriteFile(filepath.Join(folder, "sys/class/misc", name, "dev"), []byte(number+"\n"), 0o644), "sys")
	}
	must(os.MkdirAll(filepath.Join(folder, "dev"), 0o755), "dev")
	must(os.MkdirAll(filepath.Join(folder, "plugins"), 0o755), "plugins")
	must(os.Symlink("/dev/null", filepath.Join(folder, "dev/sgx_enclave")), "dev")
	must(os.Symlink("/dev/zero", filepath.Join(folder, "dev/sgx_provision")), "dev")
	text := fmt.Sprintf("listen = unix:%[1]s/http\nfolder = %[1]s/plugins\ndev_folder = %[1]s/dev\nsys_folder = %[1]s/sys\n"+
		"epc_mib = %[2]d\nquote_health = off\n%[3]s", folder, units, more)
	must(os.WriteFile(filepath.Join(folder, "conf"), []byte(text), 0o644), "conf")
	p.command = exec.Command(program, "--config", filepath.Join(folder, "conf"))
	p.command.Stderr = &p.log
	must(p.command.Start(), program)
	return p, &kubelet{folder: filepath.Join(folder, "plugins")}
}

func (p *plugin) stop() {
	p.command.Process.Signal(os.Interrupt)
	done := make(chan error, 1)
	go func() { done <- p.command.Wait() }()
	select {
	case err := <-done:
		must(err, "the plugin's end")
	case <-time.After(5 * time.Second):
		p.command.Process.Kill()
		panic("the plugin did not end")
	}
	os.RemoveAll(p.folder)
}

func testAll(p *plugin, k *kubelet) {
	e := k.get(enclave, 3*time.Second)
	check(e.options.PreStartRequired && e.options.GetPreferredAllocationAvailable, "options %v", e.options)
	w := watch(e)
	devices := w.next()
	check(len(devices) == 110 && allHealthy(devices, api.Healthy), "%d devices", len(devices))

	response, err := allocate(e, devices[7].ID)
	must(err, "Allocate")
	specs := response.ContainerResponses[0].Devices
	check(len(specs) == 2 && specs[0].ContainerPath == "/dev/sgx_enclave" && specs[0].HostPath == "/dev/null" &&
		specs[0].Permissions == "rw" && specs[1].ContainerPath == "/dev/sgx/enclave", "devices %v", specs)
	_, err = allocate(e, "sgx-enclave-110")
	expect(err, codes.NotFound, "sgx-enclave-110")
	_, err = allocate(e, "sgx-enclave-1", "sgx-enclave-1")
	expect(err, codes.InvalidArgument, "twice")
	_, err = allocate(e, "größer\n")
	expect(err, codes.NotFound, "größer\n")

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	preferred, err := e.client.GetPreferredAllocation(ctx, &api.PreferredAllocationRequest{
		ContainerRequests: []*api.ContainerPreferredAllocationRequest{{
			AvailableDeviceIDs:   []string{"sgx-enclave-9", "sgx-enclave-4", "sgx-enclave-5", "sgx-enclave-77"},
			MustIncludeDeviceIDs: []string{"sgx-enclave-77"}, AllocationSize: 2}}})
	must(err, "GetPreferredAllocation")
	ids := preferred.ContainerResponses[0].DeviceIDs
	check(len(ids) == 2 && ids[0] == "sgx-enclave-77" && ids[1] == "sgx-enclave-4", "preferred %v", ids)
	_, err = e.client.PreStartContainer(ctx, &api.PreStartContainerRequest{DevicesIDs: ids})
	must(err, "PreStartContainer")

	// 262,144 units of a MiB in one message that a kubelet takes
	memory := k.get(azure, time.Second)
	mw := watch(memory)
	all := mw.next()
	check(len(all) == units && allHealthy(all, api.Healthy), "%d units", len(all))
	seen := map[string]bool{}
	for _, device := range all {
		check(!seen[device.ID] && len(device.ID) <= 63, "unit %q", device.ID)
		seen[device.ID] = true
	}
	response, err = allocate(memory, all[0].ID, all[units-1].ID, all[4096].ID)
	must(err, "Allocate memory")
	check(len(response.ContainerResponses[0].Devices) == 4, "memory brings both devices")

	// the device vanishes, is a directory, comes back
	path := filepath.Join(p.folder, "dev/sgx_enclave")
	must(os.Remove(path), "remove")
	check(allHealthy(w.next(), api.Unhealthy), "vanished")
	check(allHealthy(mw.next(), api.Unhealthy), "vanished")
	_, err = allocate(e, "sgx-enclave-1")
	expect(err, codes.Unavailable, "not there")
	must(os.Mkdir(path, 0o755), "directory")
	_, err = e.client.PreStartContainer(ctx, &api.PreStartContainerRequest{DevicesIDs: ids})
	expect(err, codes.Unavailable, "a directory")
	must(os.Remove(path), "directory")
	must(os.Symlink("/dev/null", path), "back")
	check(allHealthy(w.next(), api.Healthy), "back")
	check(len(mw.next()) == units, "back")

	// many at once, and cancelled streams
	var group sync.WaitGroup
	for i := 0; i < 50; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			for j := 0; j < 40; j++ {
				_, err := allocate(e, fmt.Sprintf("sgx-enclave-%d", i))
				must(err, "concurrent Allocate")
			}
			extra := watch(e)
			extra.next()
			extra.cancel()
		}(i)
	}
	group.Wait()
	w.cancel()
	mw.cancel()
}

// The kubelet goes away in the middle of streams, wipes the sockets, and is there again.
func testRestarts(k *kubelet) {
	for i := 0; i < 5; i++ {
		w := watch(k.get(enclave, 3*time.Second))
		w.next()
		k.stop()
		_, err := w.stream.Recv()
		check(err != nil && !errors.Is(err, io.EOF) || err == io.EOF, "the stream ends")
		time.Sleep(time.Duration(i) * 30 * time.Millisecond)
		k.start()
		k.get(enclave, time.Second)
		k.get(azure, time.Second)
	}
}

func testSocketRemoved(k *kubelet) {
	k.get(enclave, time.Second)
	before := k.requests[enclave]
	must(os.Remove(filepath.Join(k.folder, "cella-sgx.intel.com_enclave.sock")), "socket")
	for end := time.Now().Add(time.Second); ; time.Sleep(5 * time.Millisecond) {
		k.lock.Lock()
		now := k.requests[enclave]
		k.lock.Unlock()
		if now > before {
			break
		}
		check(time.Now().Before(end), "the socket was not made again")
	}
	time.Sleep(50 * time.Millisecond)
	_, err := allocate(k.get(enclave, time.Second), "sgx-enclave-0")
	must(err, "Allocate through the new socket")
}

func testRefusals(k *kubelet) {
	k.stop()
	k.refuse = 3
	k.delay = 300 * time.Millisecond // others register while one is pending
	k.start()
	k.get(enclave, 3*time.Second)
	k.get(azure, 3*time.Second)
	k.delay = 0
}

// Kubelets before 1.26.
func testAuthority(k *kubelet) {
	k.stop()
	k.authority = filepath.Join(k.folder, "cella-sgx.intel.com_enclave.sock")
	k.start()
	w := watch(k.get(enclave, time.Second))
	check(len(w.next()) == 110, "with a path as authority")
	w.cancel()
	k.authority = ""
}

func run(program string) (failure string) {
	p, k := startPlugin(program, "")
	defer func() {
		if reason := recover(); reason != nil {
			p.command.Process.Kill()
			failure = fmt.Sprintf("%v\n%s", reason, p.log.String())
		}
	}()
	k.start()
	testAll(p, k)
	testSocketRemoved(k)
	testRestarts(k)
	testRefusals(k)
	testAuthority(k)
	k.stop()
	p.stop()
	return ""
}

func main() {
	started := time.Now()
	var failure string
	if len(os.Args) == 3 && os.Args[1] == "plugin" {
		failure = run(os.Args[2])
	} else if len(os.Args) == 4 && os.Args[1] == "webhook" {
		failure = review(os.Args[2], os.Args[3])
	} else if len(os.Args) == 3 && os.Args[1] == "manifests" {
		failure = manifests(os.Args[2])
	} else {
		failure = "usage: kubernetes plugin PROGRAM | webhook URL CA | manifests FOLDER"
	}
	if failure != "" {
		fmt.Fprintln(os.Stderr, failure)
		os.Exit(1)
	}
	fmt.Printf("%s: good in %.1f s (grpc %s)\n", os.Args[1], time.Since(started).Seconds(), grpc.Version)
}
