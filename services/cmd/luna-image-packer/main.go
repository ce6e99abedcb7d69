// Command luna-image-packer runs the image-packer service.
package main

import (
	"os"

	"github.com/luna-hpc/luna/pkg/run"
	imagepacker "github.com/luna-hpc/luna/services/image-packer"
)

func main() {
	os.Exit(run.Main(imagepacker.Name, "127.0.0.1:7042", imagepacker.Default(), imagepacker.New))
}
