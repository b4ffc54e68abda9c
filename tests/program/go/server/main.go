// An enclave that proves itself by its TLS certificate and keeps a secret in a sealed file.
package main

import (
	"crypto/rand"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"cella.dev/go/atls"
	"cella.dev/go/enclave"
	"cella.dev/go/seal"
)

func main() {
	self, err := enclave.Self()
	if err != nil {
		log.Fatal(err)
	}
	secret, err := state("/data/sealed")
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "secret %x of product %d\n", secret, self.ProductID)
	})
	for i, form := range []atls.Form{atls.Interoperable, atls.EGo, atls.OpenEnclave} {
		config, err := atls.ServerConfig(atls.Options{Form: form})
		if err != nil {
			log.Fatal(err)
		}
		listener, err := net.Listen("tcp", os.Args[1+i])
		if err != nil {
			log.Fatal(err)
		}
		server := &http.Server{TLSConfig: config}
		go func() { log.Fatal(server.ServeTLS(listener, "", "")) }()
	}
	fmt.Println("listening")
	select {}
}

// state is 16 random bytes, the same after every start.
func state(path string) ([]byte, error) {
	sealed, err := os.ReadFile(path)
	if err == nil {
		return seal.Unseal(sealed, []byte("test"))
	}
	secret := make([]byte, 16)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	if sealed, err = seal.SealToProduct(secret, []byte("test")); err != nil {
		return nil, err
	}
	return secret, os.WriteFile(path, sealed, 0o600)
}
