// A Marble that activates itself: what the coordinator gave it.
package main

import (
	"fmt"
	"os"

	"cella.dev/go/marble"
)

func main() {
	if marble.IsWanted() {
		if err := marble.Activate(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	b, err := os.ReadFile("/marble/file")
	fmt.Println(os.Args, os.Getenv("SECRET"), string(b), err)
}
