// Package marble makes a program a Marble of MarbleRun: it proves itself to the Coordinator and gets its arguments, environment and files
// from the manifest there. Call Activate first in main. It needs no cgo and nothing but the standard library.
//
// The Coordinator is told apart by what it can hand out and not by its certificate, as in MarbleRun's own runtime: what comes from
// it is the manifest's only if the client who set that manifest says so.
package marble

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cella.dev/go/enclave"
)

// The environment that MarbleRun's users know.
const (
	envAddress  = "EDG_MARBLE_COORDINATOR_ADDR"
	envType     = "EDG_MARBLE_TYPE"
	envDNSNames = "EDG_MARBLE_DNS_NAMES"
	envUUIDFile = "EDG_MARBLE_UUID_FILE"

	defaultAddress  = "localhost:2001"
	defaultDNSNames = "localhost"
	defaultUUIDFile = "uuid"

	answerMax = 64 << 20
	timeout   = 60 * time.Second
)

// Options for programs that do not take them from the environment. Empty fields come from there.
type Options struct {
	Coordinator string
	Type        string
	DNSNames    []string
	UUIDFile    string
	// Report makes the evidence; nil: enclave.RemoteReport.
	Report func(data []byte) ([]byte, error)
}

// Parameters are what the Coordinator answers.
type Parameters struct {
	Files map[string][]byte
	Env   map[string][]byte
	Argv  []string
}

// IsWanted tells whether the program was started to be a Marble (`ego marblerun`).
func IsWanted() bool { return os.Getenv("EDG_EGO_PREMAIN") == "1" }

// Activate asks the Coordinator that the environment names and applies what it answers: files, environment, os.Args.
func Activate() error {
	parameters, err := Fetch(context.Background(), Options{})
	if err != nil {
		return err
	}
	return parameters.Apply()
}

// Apply writes the files, sets the environment, and os.Args.
func (p *Parameters) Apply() error {
	for path, content := range p.Files {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	for name, value := range p.Env {
		if err := os.Setenv(name, string(value)); err != nil {
			return err
		}
	}
	os.Args = []string{"./marble"}
	if len(p.Argv) > 0 {
		os.Args = p.Argv
	}
	return nil
}

func (o *Options) complete() error {
	take := func(field *string, name, otherwise string) {
		if *field == "" {
			*field = os.Getenv(name)
		}
		if *field == "" {
			*field = otherwise
		}
	}
	take(&o.Coordinator, envAddress, defaultAddress)
	take(&o.Type, envType, "")
	take(&o.UUIDFile, envUUIDFile, defaultUUIDFile)
	if len(o.DNSNames) == 0 {
		var names string
		take(&names, envDNSNames, defaultDNSNames)
		o.DNSNames = strings.Split(names, ",")
	}
	if o.Type == "" {
		return errors.New("marble: " + envType + " is not set")
	}
	if o.Report == nil {
		o.Report = enclave.RemoteReport
	}
	return nil
}

// Fetch activates the Marble and gives what the Coordinator answers.
func Fetch(ctx context.Context, options Options) (*Parameters, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	certificate, err := selfSigned(key, options.DNSNames)
	if err != nil {
		return nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:     pkix.Name{Organization: []string{"MarbleRun Marble"}},
		DNSNames:    options.DNSNames,
		IPAddresses: loopback(),
	}, key)
	if err != nil {
		return nil, err
	}
	id, err := uuid(options.UUIDFile)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(certificate.Certificate[0])
	report, err := options.Report(hash[:])
	if err != nil {
		log.Printf("marble: no quote: %v; only a coordinator in simulation mode takes that", err)
		report = nil
	}
	var message []byte
	message = appendField(message, 1, report)
	message = appendField(message, 2, request)
	message = appendField(message, 3, []byte(options.Type))
	message = appendField(message, 4, []byte(id))
	answer, err := call(ctx, options.Coordinator, certificate, message)
	if err != nil {
		return nil, err
	}
	return parseAnswer(answer)
}

func loopback() []net.IP { return []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback} }

func selfSigned(key *ecdsa.PrivateKey, names []string) (tls.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "MarbleRun Marble"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(365 * 24 * time.Hour),
		DNSNames:     names,
		IPAddresses:  loopback(),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// uuid is the one in the file, or a new one, kept there where that can be: a Marble that keeps it gets its secrets again.
func uuid(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err == nil {
		id := strings.TrimSpace(string(data))
		if len(id) != 36 {
			return "", fmt.Errorf("marble: %s holds no UUID", path)
		}
		return id, nil
	}
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	id := fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	if err := os.WriteFile(path, []byte(id), 0o600); err != nil {
		log.Printf("marble: the UUID is new at each start: %v", err)
	}
	return id, nil
}

// call is one gRPC call over HTTP/2: a message in its frame, the status in the trailers.
func call(ctx context.Context, address string, certificate tls.Certificate, message []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
		Certificates:       []tls.Certificate{certificate},
		InsecureSkipVerify: true, // see the package's comment
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"h2"},
	}}
	defer transport.CloseIdleConnections()
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+"/rpc.Marble/Activate",
		bytes.NewReader(append(frame, message...)))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("TE", "trailers")
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, fmt.Errorf("marble: the coordinator at %s: %w", address, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerMax+1))
	if err != nil {
		return nil, fmt.Errorf("marble: the coordinator's answer: %w", err)
	}
	status := response.Trailer.Get("Grpc-Status")
	text := response.Trailer.Get("Grpc-Message")
	if status == "" { // without a message the status is among the headers
		status, text = response.Header.Get("Grpc-Status"), response.Header.Get("Grpc-Message")
	}
	if status != "0" {
		if decoded, err := url.PathUnescape(text); err == nil {
			text = decoded
		}
		return nil, fmt.Errorf("marble: the coordinator refused: status %q: %s", status, text)
	}
	if len(body) < 5 || body[0] != 0 || uint64(binary.BigEndian.Uint32(body[1:])) != uint64(len(body)-5) {
		return nil, errors.New("marble: the coordinator's answer is not one uncompressed message")
	}
	return body[5:], nil
}

// appendField adds a field of protobuf's wire type 2; empty ones are left out.
func appendField(out []byte, number uint64, data []byte) []byte {
	if len(data) == 0 {
		return out
	}
	out = binary.AppendUvarint(out, number<<3|2)
	return append(binary.AppendUvarint(out, uint64(len(data))), data...)
}

var errMessage = errors.New("marble: the coordinator's message is not well-formed")

// fields calls back for each field of wire type 2, and passes over numbers.
func fields(message []byte, take func(number uint64, data []byte) error) error {
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 {
			return errMessage
		}
		message = message[n:]
		size := uint64(0)
		switch tag & 7 {
		case 0:
			if _, n = binary.Uvarint(message); n <= 0 {
				return errMessage
			}
			message = message[n:]
			continue
		case 1:
			size = 8
		case 5:
			size = 4
		case 2:
			if size, n = binary.Uvarint(message); n <= 0 {
				return errMessage
			}
			message = message[n:]
		default:
			return errMessage
		}
		if size > uint64(len(message)) {
			return errMessage
		}
		if tag&7 == 2 {
			if err := take(tag>>3, message[:size]); err != nil {
				return err
			}
		}
		message = message[size:]
	}
	return nil
}

func parseEntry(data []byte, into map[string][]byte) error {
	var key string
	value := []byte{}
	err := fields(data, func(number uint64, data []byte) error {
		switch number {
		case 1:
			key = string(data)
		case 2:
			value = append([]byte(nil), data...)
		}
		return nil
	})
	into[key] = value
	return err
}

func parseAnswer(message []byte) (*Parameters, error) {
	p := &Parameters{Files: map[string][]byte{}, Env: map[string][]byte{}}
	return p, fields(message, func(number uint64, data []byte) error {
		if number != 1 {
			return nil
		}
		return fields(data, func(number uint64, data []byte) error {
			switch number {
			case 1:
				return parseEntry(data, p.Files)
			case 2:
				return parseEntry(data, p.Env)
			case 3:
				p.Argv = append(p.Argv, string(data))
			}
			return nil
		})
	})
}
