from percepnet.cli import main

main()
