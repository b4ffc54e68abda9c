// A client anywhere: asks the counter when its certificate proves an enclave of the right signer.
package main

import (
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"

	"cella.dev/go/atls"
	"cella.dev/go/attest"
)

func main() {
	address := flag.String("address", "127.0.0.1:7543", "the server")
	collateral := flag.String("collateral", "", "folder of collateral")
	signer := flag.String("signer", "", "MRSIGNER, hexadecimal")
	root := flag.String("insecure-root", "", "certificate of a software platform's root: for tests")
	debug := flag.Bool("insecure-debug", false, "debug enclaves, too: for tests")
	flag.Parse()
	if err := ask(*address, *collateral, *signer, *root, *debug); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func ask(address, collateral, signer, root string, debug bool) error {
	product := uint16(11)
	policy := &attest.Policy{ProductID: &product, AllowDebug: debug}
	var err error
	if policy.MRSIGNER, err = hex.DecodeString(signer); err != nil {
		return err
	}
	if policy.Collateral, err = attest.ReadCollateral(collateral); err != nil {
		return err
	}
	if root != "" {
		data, err := os.ReadFile(root)
		if err != nil {
			return err
		}
		key, err := attest.RootOf(data)
		if err != nil {
			return err
		}
		policy.Roots = append(policy.Roots, key)
	}
	config := atls.ClientConfig(policy, func(report *attest.Report) error {
		fmt.Printf("server %x, version %d, TCB %s\n", report.MRENCLAVE[:4], report.SVN, report.TCBStatus)
		return nil
	})
	client := http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	response, err := client.Get("https://" + address + "/")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	fmt.Printf("counter %s", body)
	return err
}
