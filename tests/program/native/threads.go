package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

func work(n int) int {
	s := 0
	for i := 0; i < n; i++ {
		s += i % 7
	}
	return s
}

func main() {
	runtime.GOMAXPROCS(4)
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for i := 0; i < 200; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			x := work(2000000)
			b := make([][]byte, 0)
			for j := 0; j < 50; j++ {
				b = append(b, make([]byte, 10000))
			}
			time.Sleep(time.Millisecond)
			mu.Lock()
			total += x + len(b)
			mu.Unlock()
		}()
	}
	wg.Wait()
	// A thread that is locked and ends: exitThread.
	done := make(chan bool)
	go func() { runtime.LockOSThread(); done <- true }()
	<-done
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	s := <-c
	func() {
		defer func() { fmt.Println("recovered:", recover()) }()
		var p *int
		*p = 1
	}()
	f, err := os.ReadFile("/proc/self/status")
	if err != nil || len(f) == 0 {
		panic("file")
	}
	runtime.GC()
	fmt.Println("threads", total, s)
}
