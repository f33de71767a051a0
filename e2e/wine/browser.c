/* A browser that only remembers: browser.exe FILE ADDRESS appends the address to
   the file. */
#include <stdio.h>

int main(int argc, char **argv)
{
	FILE *tabs;

	if (argc != 3 || (tabs = fopen(argv[1], "a")) == NULL)
		return 1;
	return fprintf(tabs, "%s\n", argv[2]) < 0 || fclose(tabs) != 0;
}
