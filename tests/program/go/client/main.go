// A relying party: client ROOT COLLATERAL MRENCLAVE ADDRESS... prints what the enclave answers.
package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"cella.dev/go/atls"
	"cella.dev/go/attest"
)

func main() {
	root, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	key, err := attest.RootOf(root)
	if err != nil {
		log.Fatal(err)
	}
	collateral, err := attest.ReadCollateral(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	measurement, err := hex.DecodeString(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	policy := &attest.Policy{Collateral: collateral, Roots: []attest.RootKey{key}, MRENCLAVE: measurement, AllowDebug: true}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: atls.ClientConfig(policy, nil)}}
	for _, address := range os.Args[4:] {
		response, err := client.Get("https://" + address + "/")
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s", body)
	}
}
