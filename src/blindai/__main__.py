"""`python -m blindai` is `blindai`."""

from blindai.cli import main

if __name__ == "__main__":
    main()
