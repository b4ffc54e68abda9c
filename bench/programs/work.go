// What the lines program/go-* measure. `work http|tls PORT` serve; `work cpu|alloc` print the milliseconds that they took;
// `work start` is at main; `work memory` fills its heap and waits.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"sort"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "work:", err)
		os.Exit(1)
	}
}

func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	bytes, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	check(err)
	return tls.Certificate{Certificate: [][]byte{bytes}, PrivateKey: key}
}

func serve(port string, secure bool) {
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	check(err)
	if secure {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate()}})
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello\n")) })
	fmt.Println("ready")
	check(http.Serve(listener, nil))
}

type node struct {
	left, right *node
	value       [4]int
}

func tree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{left: tree(depth - 1), right: tree(depth - 1)}
}

func (n *node) count() int {
	if n.left == nil {
		return 1
	}
	return 1 + n.left.count() + n.right.count()
}

func processor() int {
	numbers := make([]int, 1500000)
	for i := range numbers {
		numbers[i] = i * 7919 % 1000003
	}
	sort.Ints(numbers)
	block := make([]byte, 1<<20)
	hash := sha256.New()
	for i := 0; i < 200; i++ {
		hash.Write(block)
	}
	found := len(regexp.MustCompile(`(a|ab)*c?d`).FindAll([]byte(fmt.Sprint(numbers[:50000])), -1))
	return int(hash.Sum(nil)[0]) + found
}

func allocations() int {
	sum := 0
	for i := 0; i < 12; i++ {
		sum += tree(16).count()
	}
	numbers := map[int]string{}
	for i := 0; i < 300000; i++ {
		numbers[i*31] = fmt.Sprint(i)
	}
	return sum + len(numbers)
}

func timed(what func() int) {
	what() // the first round is everybody's page faults
	start := time.Now()
	what()
	fmt.Println(float64(time.Since(start).Microseconds()) / 1000)
}

func main() {
	words := append(os.Args[1:], "", "")
	switch words[0] {
	case "http", "tls":
		serve(words[1], words[0] == "tls")
	case "cpu":
		timed(processor)
	case "alloc":
		timed(allocations)
	case "start":
		fmt.Println("ready")
	case "memory":
		full := make([][]byte, 128)
		for i := range full {
			full[i] = make([]byte, 1<<20)
			for at := 0; at < len(full[i]); at += 4096 {
				full[i][at] = 1
			}
		}
		fmt.Println("ready")
		time.Sleep(time.Minute)
		runtime.KeepAlive(full)
	default:
		fmt.Fprintln(os.Stderr, "usage: work http|tls PORT | cpu | alloc | start | memory")
		os.Exit(2)
	}
}
