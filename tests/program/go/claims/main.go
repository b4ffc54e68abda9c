// EGo's system calls as its package makes them: a remote report, and its claims when it is verified inside (1007).
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"cella.dev/go/enclave"
)

type claim struct {
	name, value unsafe.Pointer
	size        uintptr
}

func verify(report []byte) (map[string][]byte, uintptr, syscall.Errno) {
	var claims *claim
	var count uintptr
	result, _, errno := syscall.Syscall6(1007, uintptr(unsafe.Pointer(&report[0])), uintptr(len(report)),
		uintptr(unsafe.Pointer(&claims)), uintptr(unsafe.Pointer(&count)), 0, 0)
	found := map[string][]byte{}
	if errno == 0 && count > 0 {
		for _, c := range unsafe.Slice(claims, count) {
			name := unsafe.Slice((*byte)(c.name), 32)
			end := 0
			for name[end] != 0 {
				end++
			}
			found[string(name[:end])] = append([]byte(nil), unsafe.Slice((*byte)(c.value), c.size)...)
		}
		syscall.Syscall(1008, uintptr(unsafe.Pointer(claims)), count, 0)
	}
	return found, result, errno
}

func main() {
	report, err := enclave.RemoteReport([]byte("data"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	self, err := enclave.Self()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	claims, result, errno := verify(report)
	fmt.Println("result", result, int(errno))
	fmt.Println("self", string(claims["unique_id"]) == string(self.MRENCLAVE[:]), string(claims["signer_id"]) == string(self.MRSIGNER[:]))
	if len(claims["attributes"]) == 8 && len(claims["security_version"]) == 4 && len(claims["tcb_status"]) == 4 {
		fmt.Println("attributes", binary.LittleEndian.Uint64(claims["attributes"]), "version",
			binary.LittleEndian.Uint32(claims["security_version"]), "product", len(claims["product_id"]), claims["product_id"][0],
			"status", binary.LittleEndian.Uint32(claims["tcb_status"]))
	}
	fmt.Printf("data %q info %q\n", claims["sgx_report_data"][:4], claims["sgx_tcb_info"])
	altered := append([]byte(nil), report...)
	altered[300] ^= 1
	_, result, errno = verify(altered)
	fmt.Println("altered", result, int(errno))
	_, result, errno = verify(report[:100])
	fmt.Println("short", result, int(errno))
	_, _, errno = syscall.Syscall6(1007, 1, 100, 1, 1, 0, 0)
	fmt.Println("nowhere", int(errno))
	// Freed twice, and what was never given: nothing happens.
	for _, number := range []uintptr{1001, 1004, 1008} {
		for _, address := range []uintptr{0, 1, 4096, uintptr(unsafe.Pointer(&report[0])), ^uintptr(0)} {
			syscall.Syscall(number, address, 0, 0)
		}
	}
	for i := 0; i < 50; i++ {
		if _, err := enclave.RemoteReport(nil); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println("done")
}
