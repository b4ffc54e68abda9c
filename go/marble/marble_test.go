package marble

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// coordinator answers one activation after it has looked at it as MarbleRun's does.
func coordinator(t *testing.T, answer []byte, status, text string) *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/rpc.Marble/Activate" || r.ProtoMajor != 2 || r.Header.Get("Content-Type") != "application/grpc" ||
			len(body) < 5 || int(binary.BigEndian.Uint32(body[1:])) != len(body)-5 {
			t.Errorf("%s %s: %d bytes", r.Proto, r.URL.Path, len(body))
			return
		}
		got := map[uint64][]byte{}
		if err := fields(body[5:], func(n uint64, data []byte) error { got[n] = data; return nil }); err != nil {
			t.Error(err)
		}
		hash := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
		if !bytes.Equal(got[1], append([]byte("report"), hash[:]...)) {
			t.Error("the quote is not over the peer's certificate")
		}
		csr, err := x509.ParseCertificateRequest(got[2])
		if err != nil || csr.CheckSignature() != nil || csr.DNSNames[0] != "a.example" {
			t.Errorf("the CSR: %v", err)
		} else if !csr.PublicKey.(*ecdsa.PublicKey).Equal(r.TLS.PeerCertificates[0].PublicKey) {
			t.Errorf("the CSR is for another key: %v", err)
		}
		if string(got[3]) != "frontend" || len(got[4]) != 36 {
			t.Errorf("type %q, UUID %q", got[3], got[4])
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		if status == "0" {
			_, _ = w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(answer))), answer...))
		}
		w.Header().Set("Grpc-Status", status)
		w.Header().Set("Grpc-Message", text)
	}))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func entry(key, value string) []byte {
	return appendField(appendField(nil, 1, []byte(key)), 2, []byte(value))
}

func options(t *testing.T, server *httptest.Server) Options {
	return Options{
		Coordinator: strings.TrimPrefix(server.URL, "https://"), Type: "frontend", DNSNames: []string{"a.example"},
		UUIDFile: filepath.Join(t.TempDir(), "uuid"),
		Report:   func(data []byte) ([]byte, error) { return append([]byte("report"), data...), nil },
	}
}

func TestActivate(t *testing.T) {
	folder := t.TempDir()
	big := strings.Repeat("x", 1<<20)
	var parameters []byte
	parameters = appendField(parameters, 1, entry(folder+"/a/b", big))
	parameters = appendField(parameters, 2, entry("MARBLE_TEST_VARIABLE", "value"))
	parameters = appendField(parameters, 2, entry("MARBLE_TEST_EMPTY", ""))
	parameters = appendField(parameters, 3, []byte("./program"))
	parameters = appendField(parameters, 3, []byte("argument"))
	server := coordinator(t, appendField(nil, 1, parameters), "0", "")
	o := options(t, server)
	got, err := Fetch(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	old := os.Args
	defer func() { os.Args = old }()
	if err := got.Apply(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(folder + "/a/b")
	if err != nil || string(content) != big || os.Getenv("MARBLE_TEST_VARIABLE") != "value" || len(os.Args) != 2 || os.Args[1] != "argument" {
		t.Errorf("%v %v %d", err, os.Args, len(content))
	}
	if _, set := os.LookupEnv("MARBLE_TEST_EMPTY"); !set {
		t.Error("an empty variable is lost")
	}
	first, _ := os.ReadFile(o.UUIDFile)
	if _, err := Fetch(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	if second, _ := os.ReadFile(o.UUIDFile); !bytes.Equal(first, second) || len(first) != 36 {
		t.Errorf("UUIDs %q and %q", first, second)
	}
}

func TestRefused(t *testing.T) {
	server := coordinator(t, nil, "16", "invalid quote%3A nobody")
	_, err := Fetch(context.Background(), options(t, server))
	if err == nil || !strings.Contains(err.Error(), `status "16": invalid quote: nobody`) {
		t.Errorf("%v", err)
	}
	if _, err := Fetch(context.Background(), Options{Coordinator: "127.0.0.1:1", Type: "x", UUIDFile: filepath.Join(t.TempDir(), "u"),
		Report: func([]byte) ([]byte, error) { return nil, nil }}); err == nil {
		t.Error("activated by nobody")
	}
	t.Setenv(envType, "")
	if _, err := Fetch(context.Background(), Options{}); err == nil || !strings.Contains(err.Error(), envType) {
		t.Errorf("without a type: %v", err)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(appendField(nil, 1, appendField(nil, 2, entry("a", "b"))))
	f.Fuzz(func(t *testing.T, data []byte) { _, _ = parseAnswer(data) })
}
