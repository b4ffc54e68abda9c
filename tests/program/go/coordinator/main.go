// A coordinator as a Marble sees one: coordinator ROOT COLLATERAL ADDRESS. It verifies the quote over the peer's certificate and
// hands out a file, a variable and arguments.
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
		m := b[5:]
		size, n := binary.Uvarint(m[1:])
		quote := m[1+n : 1+n+int(size)]
		rep, err := attest.Verify(quote, &attest.Policy{Roots: []attest.RootKey{key}, Collateral: coll, AllowDebug: true})
		h := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		if err != nil || !bytes.Equal(rep.Data[:32], h[:]) {
			w.Header().Set("Grpc-Status", "16")
			w.Header().Set("Grpc-Message", fmt.Sprint(err))
			return
		}
		fmt.Printf("marble %x\n", rep.MRENCLAVE)
		var p []byte
		p = field(p, 1, field(field(nil, 1, []byte("/marble/file")), 2, []byte("content")))
		p = field(p, 2, field(field(nil, 1, []byte("SECRET")), 2, []byte("s3cret")))
		p = field(p, 3, []byte("./m"))
		p = field(p, 3, []byte("arg"))
		a := field(nil, 1, p)
		w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(a))), a...))
		w.Header().Set("Grpc-Status", "0")
	})
	fmt.Println(s.ListenAndServeTLS("", ""))
}
