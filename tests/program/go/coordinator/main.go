// A coordinator as a Marble sees one: coordinator ROOT COLLATERAL ADDRESS. It verifies the quote over the peer's certificate and the
// request for a certificate, and hands out files, variables and arguments; says whom it has activated.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"time"

	"cella.dev/go/attest"
)

func field(out []byte, n byte, d []byte) []byte {
	out = append(out, n<<3|2)
	return append(binary.AppendUvarint(out, uint64(len(d))), d...)
}

func main() {
	root, _ := os.ReadFile(os.Args[1])
	key, err := attest.RootOf(root)
	if err != nil {
		panic(err)
	}
	coll, err := attest.ReadCollateral(os.Args[2])
	if err != nil {
		panic(err)
	}
	k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, _ := x509.CreateCertificate(rand.Reader, t, t, &k.PublicKey, k)
	s := &http.Server{Addr: os.Args[3], TLSConfig: &tls.Config{ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: k}}}}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		var in [5][]byte
		for m := b[5:]; len(m) > 0; {
			size, n := binary.Uvarint(m[1:])
			in[m[0]>>3] = m[1+n : 1+n+int(size)]
			m = m[1+n+int(size):]
		}
		quote, kind, id := in[1], string(in[3]), string(in[4])
		csr, badRequest := x509.ParseCertificateRequest(in[2])
		if badRequest == nil {
			badRequest = csr.CheckSignature()
		}
		rep, err := attest.Verify(quote, &attest.Policy{Roots: []attest.RootKey{key}, Collateral: coll, AllowDebug: true})
		h := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		if badRequest != nil || kind == "nobody" {
			w.Header().Set("Grpc-Status", "3")
			w.Header().Set("Grpc-Message", "unknown%20marble%20type%20"+kind)
			return
		}
		if err != nil || !bytes.Equal(rep.Data[:32], h[:]) {
			w.Header().Set("Grpc-Status", "16")
			w.Header().Set("Grpc-Message", fmt.Sprint(err))
			return
		}
		fmt.Printf("marble %x %s %v\n", rep.MRENCLAVE, id, csr.DNSNames)
		var p []byte
		p = field(p, 1, field(field(nil, 1, []byte("/marble/file")), 2, []byte("content")))
		if kind == "frontend" {
			p = field(p, 1, field(field(nil, 1, []byte("/data/large")), 2, make([]byte, 1_000_000)))
		}
		p = field(p, 2, field(field(nil, 1, []byte("SECRET")), 2, []byte("s3cret")))
		p = field(p, 2, field(field(nil, 1, []byte("EDG_MARBLE_TYPE")), 2, []byte("changed")))
		if kind == "ttls" {
			p = field(p, 2, field(field(nil, 1, []byte("MARBLE_TTLS_CONFIG")), 2, []byte("{}")))
		}
		p = field(p, 3, []byte("./m"))
		p = field(p, 3, []byte("arg"))
		a := field(nil, 1, p)
		w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(a))), a...))
		w.Header().Set("Grpc-Status", "0")
	})
	fmt.Println(s.ListenAndServeTLS("", ""))
}
