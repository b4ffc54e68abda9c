// The kubelet's own server of device plugins (k8s.io/kubernetes/pkg/kubelet/cm/devicemanager/plugin), as it is in a kubelet,
// against cella-device-plugin as a process that runs already. Side: tests. Called by peers.py: kubelet FOLDER.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
	plugin "k8s.io/kubernetes/pkg/kubelet/cm/devicemanager/plugin/v1beta1"
)

const enclave = "sgx.intel.com/enclave"

// What a device manager does with what the server tells it.
type manager struct {
	lock         sync.Mutex
	plugins      map[string]plugin.DevicePlugin
	devices      map[string][]*api.Device
	disconnected map[string]int
}

func (m *manager) CleanupPluginDirectory(folder string) error {
	entries, err := os.ReadDir(folder)
	for _, entry := range entries {
		if entry.Type()&os.ModeSocket != 0 {
			os.Remove(filepath.Join(folder, entry.Name()))
		}
	}
	return err
}

func (m *manager) PluginConnected(name string, p plugin.DevicePlugin) error {
	options, err := p.API().GetDevicePluginOptions(context.Background(), &api.Empty{})
	if err != nil || (name == enclave && !options.PreStartRequired) {
		return fmt.Errorf("%s: options %v: %v", name, options, err)
	}
	m.lock.Lock()
	defer m.lock.Unlock()
	m.plugins[name] = p
	return nil
}

func (m *manager) PluginDisconnected(name string) {
	m.lock.Lock()
	defer m.lock.Unlock()
	delete(m.plugins, name)
	delete(m.devices, name)
	m.disconnected[name]++
}

func (m *manager) PluginListAndWatchReceiver(name string, response *api.ListAndWatchResponse) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.devices[name] = response.Devices
}

func (m *manager) wait(what string, limit time.Duration, good func() bool) {
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		m.lock.Lock()
		done := good()
		m.lock.Unlock()
		if done {
			return
		}
		if time.Now().After(end) {
			panic(fmt.Sprintf("%s: not within %v", what, limit))
		}
	}
}

func (m *manager) healthy(name, health string, count int) func() bool {
	return func() bool {
		devices := m.devices[name]
		for _, device := range devices {
			if device.Health != health {
				return false
			}
		}
		return len(devices) == count
	}
}

func main() {
	folder := os.Args[1]
	for round := 0; round < 4; round++ { // a kubelet that starts again and again
		m := &manager{plugins: map[string]plugin.DevicePlugin{}, devices: map[string][]*api.Device{}, disconnected: map[string]int{}}
		server, err := plugin.NewServer(filepath.Join(folder, "plugins", "kubelet.sock"), m, m)
		if err == nil {
			err = server.Start()
		}
		if err != nil {
			panic(err)
		}
		m.wait("enclaves", 2*time.Second, m.healthy(enclave, api.Healthy, 110))
		m.wait("memory", 2*time.Second, m.healthy("kubernetes.azure.com/sgx_epc_mem_in_MiB", api.Healthy, 262144))
		response, err := m.plugins[enclave].API().Allocate(context.Background(), &api.AllocateRequest{
			ContainerRequests: []*api.ContainerAllocateRequest{{DevicesIDs: []string{m.devices[enclave][0].ID}}}})
		if err != nil || response.ContainerResponses[0].Devices[0].ContainerPath != "/dev/sgx_enclave" {
			panic(fmt.Sprint(response, err))
		}
		device := filepath.Join(folder, "dev", "sgx_enclave")
		os.Remove(device)
		m.wait("unhealthy", 2*time.Second, m.healthy(enclave, api.Unhealthy, 110))
		os.Symlink("/dev/null", device)
		m.wait("healthy again", 2*time.Second, m.healthy(enclave, api.Healthy, 110))
		server.Stop()
	}
	fmt.Println("kubelet's device plugin server: good")
}
