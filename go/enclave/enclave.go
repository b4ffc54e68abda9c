// Package enclave gives a Go program in an enclave its own reports, quotes and seal keys. It needs no cgo: it makes the system calls
// that EGo's runtime has (1000 to 1009), which Cella's kernel answers. Outside an enclave every call fails with ErrOutside.
package enclave

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"
)

const (
	callRemoteReport = 1000
	callFreeReport   = 1001
	callVerifyReport = 1002
	callSealKey      = 1003
	callFreeSealKey  = 1004
	callResultName   = 1006
	callLocalReport  = 1009

	headerSize     = 16  // of Open Enclave before a report
	reportSize     = 432 // REPORT
	keyRequestSize = 512
	parsedSize     = 152 // oe_report_t

	// DataSize is how much a report can bind.
	DataSize = 64
)

// ErrOutside says that the program does not run in an enclave.
var ErrOutside = errors.New("enclave: not in an enclave")

// Result is an error of the runtime, by Open Enclave's number and name.
type Result struct {
	Number int
	Name   string
}

func (r *Result) Error() string { return "enclave: " + r.Name }

// Identity is who an enclave is.
type Identity struct {
	MRENCLAVE [32]byte
	MRSIGNER  [32]byte
	ProductID uint16
	SVN       uint16
	Debug     bool
	Data      [DataSize]byte // what the report binds
}

func address(data []byte) uintptr {
	if len(data) == 0 {
		return 0
	}
	return uintptr(unsafe.Pointer(&data[0]))
}

// pointer is memory that the kernel has mapped: the garbage collector knows nothing of it.
func pointer(address uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

func text(address uintptr) string {
	var bytes []byte
	for at := pointer(address); at != nil && *(*byte)(at) != 0 && len(bytes) < 256; at = unsafe.Add(at, 1) {
		bytes = append(bytes, *(*byte)(at))
	}
	return string(bytes)
}

func check(result uintptr, errno syscall.Errno) error {
	switch {
	case errno == syscall.ENOSYS:
		return ErrOutside
	case errno != 0:
		return fmt.Errorf("enclave: %w", errno)
	case result == 0:
		return nil
	}
	name, _, errno := syscall.Syscall(callResultName, result, 0, 0)
	if errno != 0 {
		return fmt.Errorf("enclave: result %d", result)
	}
	return &Result{Number: int(result), Name: text(name)}
}

// take copies a result of the kernel's and gives its memory back.
func take(at, size uintptr, free uintptr) []byte {
	copied := append([]byte(nil), unsafe.Slice((*byte)(pointer(at)), size)...)
	_, _, _ = syscall.Syscall(free, at, 0, 0)
	return copied
}

// Inside tells whether the program runs in an enclave.
func Inside() bool {
	_, err := Self()
	return err == nil
}

// RemoteReport binds at most 64 bytes: a quote in the header of Open Enclave's reports, as EGo has it. attest.Verify takes it.
func RemoteReport(data []byte) ([]byte, error) {
	var at, size uintptr
	if len(data) > DataSize {
		return nil, fmt.Errorf("enclave: %d bytes of report data; %d is the most", len(data), DataSize)
	}
	result, _, errno := syscall.Syscall6(callRemoteReport, address(data), uintptr(len(data)), 0, 0,
		uintptr(unsafe.Pointer(&at)), uintptr(unsafe.Pointer(&size)))
	runtime.KeepAlive(data)
	if err := check(result, errno); err != nil {
		return nil, err
	}
	return take(at, size, callFreeReport), nil
}

// Quote is the quote alone.
func Quote(data []byte) ([]byte, error) {
	report, err := RemoteReport(data)
	if err != nil {
		return nil, err
	}
	return report[headerSize:], nil
}

// LocalReport is for the enclave that `target` is a report of (any of its own will do; nil: for nobody), on the same machine.
func LocalReport(data, target []byte) ([]byte, error) {
	var at, size uintptr
	if len(data) > DataSize {
		return nil, fmt.Errorf("enclave: %d bytes of report data; %d is the most", len(data), DataSize)
	}
	result, _, errno := syscall.Syscall6(callLocalReport, address(data), uintptr(len(data)), address(target),
		uintptr(len(target)), uintptr(unsafe.Pointer(&at)), uintptr(unsafe.Pointer(&size)))
	runtime.KeepAlive(data)
	runtime.KeepAlive(target)
	if err := check(result, errno); err != nil {
		return nil, err
	}
	return take(at, size, callFreeReport), nil
}

// VerifyLocalReport says who made a report for this enclave. It is an error when the report is another's, or of another machine.
func VerifyLocalReport(report []byte) (*Identity, error) {
	var parsed [parsedSize]byte
	if len(report) != headerSize+reportSize || binary.LittleEndian.Uint32(report[4:]) != 1 {
		return nil, errors.New("enclave: no local report")
	}
	result, _, errno := syscall.Syscall(callVerifyReport, address(report), uintptr(len(report)),
		uintptr(unsafe.Pointer(&parsed[0])))
	runtime.KeepAlive(report)
	if err := check(result, errno); err != nil {
		return nil, err
	}
	return identityOf(report[headerSize:]), nil
}

func identityOf(body []byte) *Identity {
	identity := &Identity{
		ProductID: binary.LittleEndian.Uint16(body[256:]),
		SVN:       binary.LittleEndian.Uint16(body[258:]),
		Debug:     body[48]&2 != 0,
	}
	copy(identity.MRENCLAVE[:], body[64:])
	copy(identity.MRSIGNER[:], body[128:])
	copy(identity.Data[:], body[320:])
	return identity
}

// Self is this enclave's own identity.
func Self() (*Identity, error) {
	own, err := LocalReport(nil, nil)
	if err != nil {
		return nil, err
	}
	if own, err = LocalReport(nil, own); err != nil {
		return nil, err
	}
	return VerifyLocalReport(own)
}

// SealPolicy says which enclaves have the same key.
type SealPolicy uint16

const (
	// SealToEnclave: this very enclave (MRENCLAVE).
	SealToEnclave SealPolicy = 1
	// SealToProduct: every enclave of this signer and product, of this security version or a newer one.
	SealToProduct SealPolicy = 2
)

// What of the attributes does not count: as Open Enclave and EGo have it.
const (
	sealFlagsMask = ^uint64(0xFFFFFFFFFFFFC0 | 0x4 | 0x10 | 0x20)
	sealMiscMask  = 0xF0000000
)

// NewSealKey makes a random key of 16 bytes that only the processor, for enclaves of the policy, derives again: from `info`, which is no secret.
func NewSealKey(policy SealPolicy) (key, info []byte, err error) {
	own, err := LocalReport(nil, nil)
	if err != nil {
		return nil, nil, err
	}
	body := own[headerSize:]
	info = make([]byte, keyRequestSize)
	binary.LittleEndian.PutUint16(info[0:], 4) // KEYNAME: SEAL
	binary.LittleEndian.PutUint16(info[2:], uint16(policy))
	copy(info[4:6], body[258:260]) // ISVSVN
	copy(info[8:24], body[:16])    // CPUSVN
	binary.LittleEndian.PutUint64(info[24:], sealFlagsMask)
	binary.LittleEndian.PutUint32(info[72:], sealMiscMask)
	if _, err := rand.Read(info[40:72]); err != nil { // KEYID
		return nil, nil, err
	}
	key, err = SealKey(info)
	return key, info, err
}

// SealKey derives the key of NewSealKey's `info` again.
func SealKey(info []byte) ([]byte, error) {
	var at, size uintptr
	if len(info) != keyRequestSize {
		return nil, fmt.Errorf("enclave: key information of %d bytes; expected %d", len(info), keyRequestSize)
	}
	result, _, errno := syscall.Syscall6(callSealKey, address(info), uintptr(len(info)),
		uintptr(unsafe.Pointer(&at)), uintptr(unsafe.Pointer(&size)), 0, 0)
	runtime.KeepAlive(info)
	if err := check(result, errno); err != nil {
		return nil, err
	}
	return take(at, size, callFreeSealKey), nil
}
