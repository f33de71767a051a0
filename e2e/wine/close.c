/* Closes the console of a program, as far as the program can tell: close.exe NAME
   has each of its processes run what the console has it run then, in a thread of
   its own: https://learn.microsoft.com/windows/console/handlerroutine */
#include <string.h>
#include <windows.h>
#include <tlhelp32.h>

int main(int argc, char **argv)
{
	PROCESSENTRY32 entry = {.dwSize = sizeof entry};
	HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
	LPTHREAD_START_ROUTINE routine = (LPTHREAD_START_ROUTINE)(void *)GetProcAddress(GetModuleHandleA("kernelbase.dll"), "CtrlRoutine");
	int told = 0;

	if (argc != 2 || routine == NULL)
		return 2;
	for (BOOL more = Process32First(all, &entry); more; more = Process32Next(all, &entry)) {
		HANDLE process;

		if (strcmp(entry.szExeFile, argv[1]) != 0)
			continue;
		process = OpenProcess(PROCESS_ALL_ACCESS, FALSE, entry.th32ProcessID);
		told += CreateRemoteThread(process, NULL, 0, routine, (void *)CTRL_CLOSE_EVENT, 0, NULL) != NULL;
	}
	return told == 1 ? 0 : 1;
}
