// Package fulldisk lets a child process of a test come to the end of its disk. It is for tests alone.
package fulldisk
