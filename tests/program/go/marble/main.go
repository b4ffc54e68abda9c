// A Marble that knows nothing of it, as EGo's users have them: prints what the manifest gave it.
package main

import (
	"fmt"
	"os"
)

func main() {
	b, err := os.ReadFile("/marble/file")
	large, largeErr := os.ReadFile("/data/large")
	host, hostErr := os.ReadFile("/edg/hostfs" + os.Getenv("EDG_CWD") + "/uuid file")
	fmt.Println(os.Args, os.Getenv("SECRET"), os.Getenv("EDG_MARBLE_TYPE"), string(b), err)
	fmt.Println(len(large), largeErr, len(host), hostErr)
	_, wanted := os.LookupEnv("EDG_EGO_PREMAIN")
	fmt.Println(wanted)
}
