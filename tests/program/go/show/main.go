// What a program of EGo's users sees: arguments, environment, files.
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"
)

func main() {
	fmt.Println("arguments", strings.Join(os.Args[1:], "|"))
	environment := os.Environ()
	sort.Strings(environment)
	for _, variable := range environment {
		if !strings.HasPrefix(variable, "EDG_CWD=") {
			fmt.Println(variable)
		}
	}
	directory, _ := os.Getwd()
	fmt.Println("in", directory)
	entries, err := os.ReadDir("/")
	for _, entry := range entries {
		fmt.Println("root", entry.Name())
	}
	if err != nil {
		fmt.Println(err)
	}
	for _, path := range []string{"/etc/message", "/data/file", "/memory/new", "/edg/mnt/memory/new"} {
		if path == "/memory/new" {
			fmt.Println("write", os.WriteFile(path, []byte("new"), 0o600))
		}
		data, err := os.ReadFile(path)
		fmt.Printf("%s %q %v\n", path, data, err)
	}
	fmt.Println("read-only", os.WriteFile("/data/other", nil, 0o600) != nil)
	if len(os.Args) > 1 && os.Args[1] == "fail" {
		os.Exit(42)
	}
}
