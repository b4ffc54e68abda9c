// An HTTPS service in an enclave. Whoever connects learns from its certificate which enclave it is; what it counts is sealed, so
// that only later versions by the same signer go on counting.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"cella.dev/go/atls"
	"cella.dev/go/enclave"
	"cella.dev/go/seal"
)

// counter is a number in a sealed file. The file's name goes into the seal: no other sealed file takes its place.
type counter struct {
	sync.Mutex
	path  string
	value uint64
}

func open(path string) (*counter, error) {
	c := &counter{path: path}
	sealed, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	state, err := seal.Unseal(sealed, []byte(filepath.Base(path)))
	if err != nil || len(state) != 8 {
		return nil, fmt.Errorf("%s: %v", path, err)
	}
	c.value = binary.LittleEndian.Uint64(state)
	return c, nil
}

func (c *counter) next() (uint64, error) {
	c.Lock()
	defer c.Unlock()
	sealed, err := seal.SealToProduct(binary.LittleEndian.AppendUint64(nil, c.value+1), []byte(filepath.Base(c.path)))
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(c.path+".new", sealed, 0o600); err != nil {
		return 0, err
	}
	if err := os.Rename(c.path+".new", c.path); err != nil {
		return 0, err
	}
	c.value++
	return c.value, nil
}

func main() {
	address := flag.String("address", "127.0.0.1:7543", "where to listen")
	path := flag.String("state", "/state/counter", "the sealed file")
	flag.Parse()
	self, err := enclave.Self()
	if err != nil {
		log.Fatal(err) // outside of enclaves there is nothing to prove
	}
	c, err := open(*path)
	if err != nil {
		log.Fatal(err)
	}
	config, err := atls.ServerConfig(atls.Options{Name: "counter"})
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		value, err := c.next()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, value)
	})
	fmt.Printf("counter %x, product %d, version %d: listening on %s\n", self.MRENCLAVE[:4], self.ProductID, self.SVN, *address)
	server := &http.Server{Addr: *address, TLSConfig: config}
	log.Fatal(server.ListenAndServeTLS("", ""))
}
