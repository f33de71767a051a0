/* bcryptprimitives.dll, which Wine 8 lacks and every Go program loads at its
   start. ProcessPrng is all that they ask of it:
   https://learn.microsoft.com/windows/win32/seccng/processprng */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size)
{
	return RtlGenRandom(data, (ULONG)size);
}
